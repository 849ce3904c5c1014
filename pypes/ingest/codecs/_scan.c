/* Steps over JSON text without making objects, to tell whether it is plain: such that pypes.ingest.codecs accepts it, and how
 * many documents it has. Whatever is not plain, malformed or only rare, is left to the careful way in Python, which knows why.
 *
 * Plain is JSON (RFC 8259) of objects, in UTF-8 without a byte order mark, with integers of at most 64 bits, numbers that a
 * double holds, no lone surrogates, and no more levels than allowed. Only the limited API is used, and none of it between
 * the first byte and the last: other threads run meanwhile.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include "_utf8.h"

/* Levels that the parsers of the careful way are sure to read, too. */
#define MOST_LEVELS 1000
/* Below it, other threads are not worth the hand-over. */
#define LARGE_BYTES 16384
/* Digits before the point and exponent together: less than the 308 of the largest double. */
#define MOST_MAGNITUDE 300

/* Each of these steps over what begins at a place, and returns the place behind it; NULL if it is not plain. */

static Place
over_space(Place at, Place end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

static int
hex_digits(Place at, Place end)
{
    int value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char digit = at[i];
        if (digit >= '0' && digit <= '9') {
            value = value * 16 + digit - '0';
        }
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
            value = value * 16 + (digit | 0x20) - 'a' + 10;
        }
        else {
            return -1;
        }
    }
    return value;
}

static Place
over_escape(Place at, Place end)
{
    if (end - at < 2) {
        return NULL;
    }
    switch (at[1]) {
    case 'n': case '"': case '\\': case 't': case '/': case 'r': case 'b': case 'f':
        return at + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    int unit = hex_digits(at + 2, end);
    if (unit < 0) {
        return NULL;
    }
    at += 6;
    if (unit < 0xD800 || unit > 0xDFFF) {
        return at;
    }
    /* the upper half of a pair, which the lower one has to follow */
    if (unit > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u') {
        return NULL;
    }
    unit = hex_digits(at + 2, end);
    return unit >= 0xDC00 && unit <= 0xDFFF ? at + 6 : NULL;
}

/* The first character that ends a string, begins an escape, is a control character or not ASCII; the end if none does. */
static inline Place
to_special(Place at, Place end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), blank = _mm_set1_epi8(' ');
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)at);
        /* what is not ASCII is less than a blank, for the sign is its highest bit */
        __m128i found = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)), _mm_cmplt_epi8(block, blank));
        int places = _mm_movemask_epi8(found);
        if (places != 0) {
            return at + __builtin_ctz(places);
        }
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at >= ' ' && *at < 0x80) {
        at++;
    }
    return at;
}

static Place
over_string(Place at, Place end)
{
    at++;
    for (;;) {
        at = to_special(at, end);
        if (at >= end || *at < ' ') {
            return NULL;
        }
        if (*at == '"') {
            return at + 1;
        }
        at = *at == '\\' ? over_escape(at, end) : over_utf8(at, end);
        if (at == NULL) {
            return NULL;
        }
    }
}

static inline Place
over_digits(Place at, Place end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* True if an integer of so many digits has at most 64 bits. */
static int
fits(Place digits, Py_ssize_t count, int is_negative)
{
    uint64_t value = 0;
    if (count <= 18) {
        return 1;
    }
    if (count > 20) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        uint64_t digit = digits[i] - '0';
        if (value > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        value = value * 10 + digit;
    }
    return !is_negative || value <= (uint64_t)INT64_MAX + 1;
}

static Place
over_number(Place at, Place end)
{
    int is_negative = *at == '-', is_integer = 1;
    Place digits = at + is_negative;
    at = over_digits(digits, end);
    Py_ssize_t count = at - digits, exponent = 0;
    if (count == 0 || (count > 1 && *digits == '0')) {
        return NULL;
    }
    if (at < end && *at == '.') {
        Place fraction = at + 1;
        is_integer = 0;
        at = over_digits(fraction, end);
        if (at == fraction) {
            return NULL;
        }
    }
    if (at < end && (*at | 0x20) == 'e') {
        is_integer = 0;
        at++;
        int is_small = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) {
            at++;
        }
        Place first = at;
        at = over_digits(at, end);
        if (at == first || at - first > 3) {
            return NULL;
        }
        while (first < at) {
            exponent = exponent * 10 + *first++ - '0';
        }
        if (is_small && exponent > MOST_MAGNITUDE) {
            return NULL;
        }
        exponent = is_small ? 0 : exponent;
    }
    if (is_integer ? !fits(digits, count, is_negative) : count + exponent > MOST_MAGNITUDE) {
        return NULL;
    }
    return at;
}

static Place
over_word(Place at, Place end, const char *word, Py_ssize_t length)
{
    return end - at >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static Place
over_scalar(Place at, Place end)
{
    switch (*at) {
    case '"':
        return over_string(at, end);
    case 't':
        return over_word(at, end, "true", 4);
    case 'f':
        return over_word(at, end, "false", 5);
    case 'n':
        return over_word(at, end, "null", 4);
    default:
        return over_number(at, end);
    }
}

/* A string, the colon and the space around it. */
static Place
over_name(Place at, Place end)
{
    if (at >= end || *at != '"' || (at = over_string(at, end)) == NULL) {
        return NULL;
    }
    at = over_space(at, end);
    return at < end && *at == ':' ? over_space(at + 1, end) : NULL;
}

/* An object of at most so many levels, its own among them. */
static Place
over_object(Place at, Place end, Py_ssize_t levels)
{
    unsigned char closings[MOST_LEVELS];
    Py_ssize_t level = 0;
    for (;;) {
        /* a value begins here */
        if (at >= end) {
            return NULL;
        }
        if (*at == '{' || *at == '[') {
            int is_object = *at == '{';
            if (level >= levels) {
                return NULL;
            }
            closings[level++] = is_object ? '}' : ']';
            at = over_space(at + 1, end);
            if (at >= end || *at != closings[level - 1]) {
                if (is_object && (at = over_name(at, end)) == NULL) {
                    return NULL;
                }
                continue;
            }
        }
        else {
            at = over_scalar(at, end);
            if (at == NULL) {
                return NULL;
            }
            at = over_space(at, end);
        }
        /* a value is over, or what it stands in is */
        while (at < end && *at == closings[level - 1]) {
            at++;
            if (--level == 0) {
                return at;
            }
            at = over_space(at, end);
        }
        if (at >= end || *at != ',') {
            return NULL;
        }
        at = over_space(at + 1, end);
        if (closings[level - 1] == '}' && (at = over_name(at, end)) == NULL) {
            return NULL;
        }
    }
}

static Py_ssize_t
documents_in_lines(Place at, Place end, Py_ssize_t levels, Py_ssize_t line_bytes)
{
    Py_ssize_t count = 0;
    while (at < end) {
        Place feed = memchr(at, '\n', end - at), line_end = feed != NULL ? feed : end;
        if (line_end - at > line_bytes) {
            return -1;
        }
        at = over_space(at, line_end);
        if (at < line_end) {
            if (*at != '{' || (at = over_object(at, line_end, levels)) == NULL || over_space(at, line_end) != line_end) {
                return -1;
            }
            count++;
        }
        at = line_end + 1;
    }
    return count;
}

static Py_ssize_t
documents_in_value(Place at, Place end, Py_ssize_t levels)
{
    Py_ssize_t count = 0;
    at = over_space(at, end);
    if (at >= end) {
        return -1;
    }
    if (*at == '{') {
        at = over_object(at, end, levels);
        return at != NULL && over_space(at, end) == end ? 1 : -1;
    }
    if (*at != '[') {
        return -1;
    }
    do {
        at = over_space(at + 1, end);
        if (at >= end || *at != '{' || (at = over_object(at, end, levels)) == NULL) {
            return -1;
        }
        count++;
        at = over_space(at, end);
    } while (at < end && *at == ',');
    return at < end && *at == ']' && over_space(at + 1, end) == end ? count : -1;
}

static PyObject *
scanned(PyObject *body, Py_ssize_t levels, Py_ssize_t line_bytes)
{
    Py_buffer view;
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Place at = view.buf, end = at + view.len;
    PyThreadState *state = view.len > LARGE_BYTES ? PyEval_SaveThread() : NULL;
    levels = levels < MOST_LEVELS ? levels : MOST_LEVELS;
    Py_ssize_t count = line_bytes < 0 ? documents_in_value(at, end, levels) : documents_in_lines(at, end, levels, line_bytes);
    if (state != NULL) {
        PyEval_RestoreThread(state);
    }
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(count);
}

static PyObject *
in_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *body;
    Py_ssize_t levels, line_bytes;
    if (!PyArg_ParseTuple(args, "Onn:in_lines", &body, &levels, &line_bytes)) {
        return NULL;
    }
    return scanned(body, levels, line_bytes < 0 ? 0 : line_bytes);
}

static PyObject *
in_value(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *body;
    Py_ssize_t levels;
    if (!PyArg_ParseTuple(args, "On:in_value", &body, &levels)) {
        return NULL;
    }
    return scanned(body, levels, -1);
}

static PyMethodDef methods[] = {
    {"in_lines", in_lines, METH_VARARGS, "in_lines(body, levels, line_bytes): documents of plain NDJSON, -1 if it is not plain."},
    {"in_value", in_value, METH_VARARGS, "in_value(body, levels): documents of plain JSON, an object or an array of objects; -1 as above."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__scan(void)
{
    return PyModuleDef_Init(&module);
}
