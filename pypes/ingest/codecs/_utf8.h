/* Steps over characters of UTF-8, for the scans of text and of binary bodies. */

#ifndef PYPES_UTF8_H
#define PYPES_UTF8_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef const unsigned char *Place;

/* A character of several bytes: the shortest form of one that is no surrogate (RFC 3629, 4). */
static Place
over_utf8(Place at, Place end)
{
    unsigned char first = at[0];
    Py_ssize_t left = end - at;
#define FOLLOWS(n) ((at[n] & 0xC0) == 0x80)
    if (first >= 0xC2 && first <= 0xDF) {
        return left >= 2 && FOLLOWS(1) ? at + 2 : NULL;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        if (left < 3 || !FOLLOWS(1) || !FOLLOWS(2) || (first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F)) {
            return NULL;
        }
        return at + 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (left < 4 || !FOLLOWS(1) || !FOLLOWS(2) || !FOLLOWS(3) || (first == 0xF0 && at[1] < 0x90)
            || (first == 0xF4 && at[1] > 0x8F)) {
            return NULL;
        }
        return at + 4;
    }
#undef FOLLOWS
    return NULL;
}

#endif
