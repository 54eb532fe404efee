"""Takes what is left of a file system: its blocks to the last one, or (argument `inodes`) its inodes."""
import errno
import os
import sys

FOLDER = '/srv/.full'


def fits(act, *args):
    """Whether there was room."""
    try:
        act(*args)
        return True
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def take_blocks():
    """Allocates halves of what is left until not even one block is: nothing is written, so it takes no time."""
    with open(os.path.join(FOLDER, 'blocks'), 'ab') as file:
        block = os.statvfs(FOLDER).f_frsize
        size = os.statvfs(FOLDER).f_bfree * block
        while size >= block:
            end = os.fstat(file.fileno()).st_size
            if not fits(os.posix_fallocate, file.fileno(), end, size):
                os.ftruncate(file.fileno(), end)  # a part of it may have been allocated
                size = size // 2 // block * block
    # Blocks that only a file of its own may have, and those of a file's map.
    while fits(one_block, 'block-%d' % len(os.listdir(FOLDER))):
        pass


def one_block(name):
    """A file of one byte."""
    with open(os.path.join(FOLDER, name), 'wb') as file:
        file.write(b'x')
        file.flush()
        os.fsync(file.fileno())


def take_inodes():
    """Makes empty files until there is no inode for another."""
    folder = os.path.join(FOLDER, 'inodes')
    os.makedirs(folder, exist_ok=True)
    begin = len(os.listdir(folder))
    while fits(os.mknod, os.path.join(folder, str(begin))):
        begin += 1


os.makedirs(FOLDER, exist_ok=True)
take_inodes() if sys.argv[1:] == ['inodes'] else take_blocks()
