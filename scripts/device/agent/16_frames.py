# ---------------- frames: the raw bytes that follow a message

# codec, bytes on the wire, bytes of content
FRAME = struct.Struct('>BII')
PLAIN, ZLIB, ZSTD = 0, 1, 2


def codecs_here():
    """The compressions that this device can undo, the best first."""
    return (['zstd'] if zstd_here() is not None else []) + ['zlib']


def zstd_here():
    """What undoes zstd: Python's own (from 3.14 on), the command, or None."""
    try:
        from compression import zstd
        return lambda packed, size: zstd.ZstdDecompressor().decompress(packed, size + 1)
    except ImportError:
        command = which('zstd', os.environ.get('PATH', DEFAULT_PATH))
        return None if command is None else lambda packed, size: by_command(command, packed, size)


def by_command(command, packed, size):
    """One frame through `zstd -d`, read from a file so that neither side can wait for the other."""
    with tempfile.TemporaryFile() as file:
        file.write(packed)
        file.seek(0)
        with subprocess.Popen([command, '-dcq'], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            content = child.stdout.read(size + 1)
            child.kill()
    return content


def inflate(packed, size):
    """Never more than one byte beyond what was announced, whatever it would become."""
    reader = zlib.decompressobj()
    content = reader.decompress(packed, size + 1)
    if not reader.eof or reader.unused_data:
        raise zlib.error('cut short')
    return content


class Frames:
    """The frames that follow one message; an empty one is the last. Each is bounded, on the wire and unpacked."""

    def __init__(self, session):
        self.session = session
        self.over = False
        self.content = 0
        self.buffer = memoryview(bytearray(MAX_FRAME_BYTES))

    def __iter__(self):
        """The contents, each valid until the next is asked for."""
        while True:
            packed, codec, size = self.read()
            if packed is None:
                return
            self.content += size
            yield self.unpack(packed, codec, size)

    def read(self):
        """One frame as it came."""
        codec, wire, size = FRAME.unpack(self.fill(FRAME.size))
        if wire > MAX_FRAME_BYTES:
            # Where the next frame begins is not known any more: only a new session helps.
            self.over = True
            self.session.end('SIGHUP')
            raise ConnectionEnded()
        if wire == 0:
            self.over = True
            # From here on the reader hears the next lines again, a cancel of this very operation among them.
            self.session.message.consumed.set()
            return None, codec, size
        return self.fill(wire), codec, size

    def fill(self, size):
        """Exactly so many bytes of the connection."""
        view, at = self.buffer[:size], 0
        while at < size:
            at += self.session.receive(view[at:])
        return view

    def unpack(self, packed, codec, size):
        """A frame's content; one that is not what it says is refused."""
        if size > MAX_FRAME_BYTES:
            raise refused('bad-request', 'a frame of more than %d bytes' % MAX_FRAME_BYTES)
        try:
            content = packed if codec == PLAIN else memoryview(self.codec(codec)(packed, size))
        except Exception as error:
            if isinstance(error, Failed):
                raise
            raise refused('bad-request', 'a frame cannot be unpacked: %s' % error)
        if len(content) != size:
            raise refused('bad-request', 'a frame unpacks to another size than it says')
        return content

    def codec(self, number):
        """What undoes a compression."""
        undo = inflate if number == ZLIB else zstd_here() if number == ZSTD else None
        if undo is None:
            raise refused('bad-request', 'no such compression here: %d' % number)
        return undo

    def drain(self):
        """Reads what is left, so that the next line is a line again."""
        while not self.over:
            self.read()
