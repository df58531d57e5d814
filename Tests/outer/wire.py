"""Protocol buffers' messages, written and read by field number: enough for the few that the tests and benchmarks speak."""


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, value):
    """A field of a message: a text or message, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message: number to its values."""
    found, at = {}, 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(message):
        key = read()
        value = read()
        if key & 7 == 2:
            at += value
            value = message[at - value:at]
        found.setdefault(key >> 3, []).append(value)
    return found


def text(message, number):
    return fields(message).get(number, [b""])[-1].decode()


def number(message, number):
    """A number; 0 where there is none."""
    return fields(message).get(number, [0])[-1]


def mapping(message, number):
    return {text(entry, 1): text(entry, 2) for entry in fields(message).get(number, [])}
