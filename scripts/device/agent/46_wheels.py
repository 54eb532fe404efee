# ---------------- wheels

def unpack_wheels(session, top, wheels):
    """Unpacks wheels into `site-packages/`, every file checked against its wheel's RECORD."""
    placed = {}
    total = 0
    for wheel in wheels:
        with open_wheel(os.path.join(top, wheel), wheel) as archive:
            expected = wheel_record(archive, wheel)
            for info in archive.infolist():
                session.check()
                total += info.file_size
                if total > MAX_WHEEL_BYTES:
                    raise refused('bad-wheel', 'the wheels unpack to more than %d bytes' % MAX_WHEEL_BYTES)
                unpack_member(archive, info, wheel, expected, os.path.join(top, 'site-packages'), placed)
            if expected:
                raise refused('bad-wheel', '%s: %r is in RECORD but not in the wheel' % (wheel, sorted(expected)[0]))


def open_wheel(path, wheel):
    """The archive; what is none is refused."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise refused('bad-wheel', '%s: %s' % (wheel, error))


def wheel_record(archive, wheel):
    """`{ path: (algorithm, digest, size) }` of the wheel's RECORD."""
    found = [name for name in archive.namelist() if re.match(r'[^/]+\.dist-info/RECORD\Z', name)]
    if len(found) != 1:
        raise refused('bad-wheel', '%s has no RECORD' % wheel)
    expected = {}
    for row in csv.reader(io.StringIO(archive.read(found[0]).decode('utf-8', 'replace'))):
        if len(row) == 3 and row[0] not in unsigned(found[0]):
            algorithm, _, digest = row[1].partition('=')
            expected[row[0]] = (algorithm, digest, row[2])
    return expected


def unsigned(record):
    """The files that cannot stand in RECORD with a digest."""
    return (record, record + '.jws', record + '.p7s')


def unpack_member(archive, info, wheel, expected, site, placed):
    """One file of a wheel to its place; directories come by themselves, scripts and headers are left out."""
    name = info.filename
    if stat.S_ISLNK(info.external_attr >> 16) or name.startswith('/') or '\\' in name or '..' in name.split('/'):
        raise refused('bad-wheel', '%s: %r leaves the tree' % (wheel, name))
    if info.is_dir():
        return
    content = read_member(archive, info, wheel)
    signed = not re.match(r'[^/]+\.dist-info/RECORD(\.jws|\.p7s)?\Z', name)
    if signed:
        check_member(name, content, expected.pop(name, None), wheel)
    place = placed_at(name)
    if place is None:
        return
    if placed.setdefault(place, content if signed else b'') != (content if signed else b''):
        raise refused('wheel-conflict', '%s: %r comes from another wheel, too' % (wheel, place))
    write_member(os.path.join(site, place), content, 0o755 if (info.external_attr >> 16) & 0o100 else 0o644)


def read_member(archive, info, wheel):
    """A member's bytes; a damaged or encrypted one is refused."""
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise refused('bad-wheel', '%s: %r: %s' % (wheel, info.filename, error))


def check_member(name, content, expected, wheel):
    """Compares a member with what RECORD says."""
    algorithm, digest, size = expected or ('', '', '')
    if algorithm not in ('sha256', 'sha384', 'sha512'):
        raise refused('bad-wheel', '%s: %r is not in RECORD with a sound digest' % (wheel, name))
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b'=').decode()
    if actual != digest.rstrip('=') or (size and int(size) != len(content)):
        raise Failed('checksum-mismatch', path='%s!%s' % (wheel, name), expected=digest, actual=actual)


def placed_at(name):
    """A member's path below `site-packages/`: `*.data/purelib` and `platlib` are merged, other data left out."""
    data = re.match(r'[^/]+\.data/([^/]+)/(.+)\Z', name)
    if data is None:
        return name
    return data.group(2) if data.group(1) in ('purelib', 'platlib') else None


def write_member(path, content, mode):
    """A file of `site-packages/`."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = create(path, mode)
    try:
        write_all(fd, content)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
