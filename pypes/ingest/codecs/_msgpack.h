/* Steps over a document of MessagePack. Included by _records.c. */

#ifndef PYPES_MSGPACK_H
#define PYPES_MSGPACK_H

enum kind { OTHER, PLAIN, FLOAT, TEXT, BINARY, ARRAY, MAP };

/* The kind of what begins with a byte, and how many bytes follow it: of a number itself, or of the length of what comes then. */
static enum kind
kind_of(unsigned char first, int *bytes)
{
    static const unsigned char sizes[] = {1, 2, 4, 8};
    *bytes = 0;
    if (first < 0x80 || first >= 0xE0 || first == 0xC0 || first == 0xC2 || first == 0xC3) {
        return PLAIN;
    }
    if (first < 0xC0) {
        return first < 0x90 ? MAP : first < 0xA0 ? ARRAY : TEXT;
    }
    if (first >= 0xC4 && first <= 0xC6) {
        *bytes = sizes[first - 0xC4];
        return BINARY;
    }
    if (first == 0xCA || first == 0xCB) {
        *bytes = first == 0xCA ? 4 : 8;
        return FLOAT;
    }
    if (first >= 0xCC && first <= 0xD3) {
        *bytes = sizes[(first - 0xCC) & 3];
        return PLAIN;
    }
    if (first >= 0xD9 && first <= 0xDB) {
        *bytes = sizes[first - 0xD9];
        return TEXT;
    }
    if (first >= 0xDC) {
        *bytes = first & 1 ? 4 : 2;
        return first < 0xDE ? ARRAY : MAP;
    }
    return OTHER;
}

static Place
over_map(Place at, Place end, Py_ssize_t levels, int *is_cut, struct out *Py_UNUSED(out))
{
    /* of each level, how many values are to come; of a map keys as well, each before its value */
    uint64_t left[MOST_LEVELS];
    unsigned char is_map[MOST_LEVELS];
    Py_ssize_t level = 0;
    do {
        if (at >= end) {
            *is_cut = 1;
            return NULL;
        }
        int bytes, is_key = level > 0 && is_map[level - 1] && left[level - 1] % 2 == 0;
        unsigned char first = *at++;
        enum kind kind = kind_of(first, &bytes);
        if (kind == OTHER || (is_key && kind != TEXT) || (level == 0 && kind != MAP)) {
            return NULL;
        }
        if (level > 0) {
            left[level - 1]--;
        }
        if (end - at < bytes) {
            *is_cut = 1;
            return NULL;
        }
        if (kind == FLOAT && !is_finite(at, bytes)) {
            return NULL;
        }
        uint64_t length = bytes > 0 ? number_at(at, bytes) : kind == TEXT ? first & 0x1F : first & 0x0F;
        at += bytes;
        if (kind == TEXT || kind == BINARY) {
            if (length > (uint64_t)(end - at)) {
                *is_cut = 1;
                return NULL;
            }
            if (kind == TEXT && !is_text(at, at + length)) {
                return NULL;
            }
            at += length;
        }
        else if (kind == MAP || kind == ARRAY) {
            if (level >= levels) {
                return NULL;
            }
            is_map[level] = kind == MAP;
            left[level++] = kind == MAP ? 2 * length : length;
        }
        while (level > 0 && left[level - 1] == 0) {
            level--;
        }
    } while (level > 0);
    return at;
}

#endif
