"""Native code: what an ELF file needs, found by its loader's own rules inside the image."""

from imgslim.runtimes.elf.parse import ElfFacts, elf_facts, is_program_called
from imgslim.runtimes.elf.runtime import ElfRuntime

__all__ = ["ElfFacts", "ElfRuntime", "elf_facts", "is_program_called"]
