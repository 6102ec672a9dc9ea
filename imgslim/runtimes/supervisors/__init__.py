"""Programs that start others by their configuration: supervisord, s6, runit, cron, Procfiles."""

from imgslim.runtimes.supervisors.runtime import SupervisorRuntime

__all__ = ["SupervisorRuntime"]
