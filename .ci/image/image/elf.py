"""What an ELF file needs: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html."""
import struct
from dataclasses import dataclass, field

from image.failure import Failure

MACHINES = {62: 'amd64', 183: 'arm64'}
LOAD, DYNAMIC, INTERPRETER = 1, 2, 3
NEEDED, STRINGS = 1, 5
VERSIONS_DEFINED, VERSIONS_DEFINED_COUNT = 0x6ffffffc, 0x6ffffffd
VERSIONS_NEEDED, VERSIONS_NEEDED_COUNT = 0x6ffffffe, 0x6fffffff


@dataclass
class Elf:
    arch: str
    interpreter: str | None = None
    needed: list = field(default_factory=list)
    # {library: {version of its symbols}}
    versions: dict = field(default_factory=dict)
    defined: set = field(default_factory=set)


def is_elf(data):
    return data[:4] == b'\x7fELF'


def parse(data):
    if data[4:6] != b'\x02\x01':
        raise Failure('an ELF file is not of a 64-bit little-endian machine')
    machine, = struct.unpack_from('<H', data, 18)
    elf = Elf(MACHINES.get(machine, 'machine %d' % machine))
    segments = list(program_headers(data))
    for kind, offset, _, size in segments:
        if kind == INTERPRETER:
            elf.interpreter = data[offset:offset + size].rstrip(b'\0').decode()
    for kind, offset, _, size in segments:
        if kind == DYNAMIC:
            read_dynamic(elf, data, segments, struct.iter_unpack('<QQ', data[offset:offset + size]))
    return elf


def program_headers(data):
    start, = struct.unpack_from('<Q', data, 32)
    size, count = struct.unpack_from('<HH', data, 54)
    for at in range(start, start + size * count, size):
        kind, _, offset, address, _, length = struct.unpack_from('<IIQQQQ', data, at)
        yield kind, offset, address, length


def read_dynamic(elf, data, segments, entries):
    entries = list(entries)
    one = dict(entries)

    def place(address):
        for kind, offset, start, size in segments:
            if kind == LOAD and start <= address < start + size:
                return offset + address - start
        raise Failure('an ELF file has a dynamic section that points outside of it')

    if STRINGS not in one:
        return
    strings = place(one[STRINGS])

    def text(at):
        return data[strings + at:data.index(b'\0', strings + at)].decode()

    elf.needed = [text(value) for tag, value in entries if tag == NEEDED]
    at = place(one[VERSIONS_NEEDED]) if VERSIONS_NEEDED in one else 0
    for _ in range(one.get(VERSIONS_NEEDED_COUNT, 0)):
        _, count, file, first, following = struct.unpack_from('<HHIII', data, at)
        names, each = set(), at + first
        for _ in range(count):
            _, _, _, name, step = struct.unpack_from('<IHHII', data, each)
            names.add(text(name))
            each += step
        elf.versions[text(file)] = names
        at += following
    at = place(one[VERSIONS_DEFINED]) if VERSIONS_DEFINED in one else 0
    for _ in range(one.get(VERSIONS_DEFINED_COUNT, 0)):
        _, _, _, _, _, first, following = struct.unpack_from('<HHHHIII', data, at)
        name, _ = struct.unpack_from('<II', data, at + first)
        elf.defined.add(text(name))
        at += following
