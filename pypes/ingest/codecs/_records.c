/* Steps over documents of a binary form that follow each other, without making objects, to tell how many of them are plain:
 * such that pypes.ingest.codecs accepts them. Whatever is not plain is left to the careful way in Python, which knows why.
 *
 * Plain MessagePack: maps whose keys are text, in UTF-8, without extensions and without numbers that JSON has no words for.
 * What a length announces is believed only as far as bytes are there, and nothing is allocated. Only the limited API is used,
 * and none of it between the first byte and the last: other threads run meanwhile.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include "_utf8.h"

/* Levels that the careful way is sure to read, too. */
#define MOST_LEVELS 500
/* Below it, other threads are not worth the hand-over. */
#define LARGE_BYTES 16384

/* A document: returns the place behind it, NULL if it is not plain; is_cut tells that it only goes on behind the end. */
typedef Place (*Step)(Place at, Place end, Py_ssize_t levels, int *is_cut);

static uint64_t
number_at(Place at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static int
is_text(Place at, Place end)
{
    while (at < end) {
#if defined(__SSE2__)
        if (end - at >= 16 && _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)at)) == 0) {
            at += 16;
            continue;
        }
#endif
        if (*at < 0x80) {
            at++;
        }
        else if ((at = over_utf8(at, end)) == NULL) {
            return 0;
        }
    }
    return 1;
}

/* True for a finite number; its exponent is the bits after the sign. */
static int
is_finite(Place at, int bytes)
{
    return bytes == 4 ? (number_at(at, 4) >> 23 & 0xFF) != 0xFF : (number_at(at, 8) >> 52 & 0x7FF) != 0x7FF;
}

/* -- MessagePack ------------------------------------------------------------------------------------------------------- */

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
over_map(Place at, Place end, Py_ssize_t levels, int *is_cut)
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

/* -- documents --------------------------------------------------------------------------------------------------------- */

static PyObject *
scanned(PyObject *args, Step step)
{
    PyObject *body;
    Py_ssize_t start, stop, levels, most;
    if (!PyArg_ParseTuple(args, "Onnnn", &body, &start, &stop, &levels, &most)) {
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > view.len) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "start lies outside of the body");
        return NULL;
    }
    Place first = view.buf, end = first + view.len, at = first + start, last = stop < view.len ? first + stop : end;
    Py_ssize_t count = 0;
    int is_cut = 0;
    PyThreadState *state = view.len > LARGE_BYTES ? PyEval_SaveThread() : NULL;
    levels = levels < MOST_LEVELS ? levels : MOST_LEVELS;
    while (at < last) {
        Place behind = step(at, end, levels, &is_cut);
        if (behind == NULL || behind - at > most) {
            break;
        }
        at = behind;
        count++;
    }
    if (state != NULL) {
        PyEval_RestoreThread(state);
    }
    Py_ssize_t reached = at - first;
    PyBuffer_Release(&view);
    return Py_BuildValue("nnO", count, reached, is_cut ? Py_True : Py_False);
}

static PyObject *
in_maps(PyObject *Py_UNUSED(module), PyObject *args)
{
    return scanned(args, over_map);
}

static PyMethodDef methods[] = {
    {"in_maps", in_maps, METH_VARARGS,
     "in_maps(body, start, stop, levels, most): plain maps of MessagePack that begin between start and stop, of at most so many "
     "bytes each: how many, where they end, and whether the next only goes on behind the end of the body."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_records",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__records(void)
{
    return PyModuleDef_Init(&module);
}
