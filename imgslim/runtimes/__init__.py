"""Runtime modules: a kept path → what more it needs. The list of them is in ``registry``."""
