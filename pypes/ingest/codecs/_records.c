/* Steps over documents of a binary form that follow each other, without making objects, to tell how many of them are plain:
 * such that pypes.ingest.codecs accepts them. Whatever is not plain is left to the careful way in Python, which knows why.
 *
 * Plain MessagePack: maps whose keys are text, in UTF-8, without extensions and without numbers that JSON has no words for.
 * Plain Protocol Buffers: messages as of pypes.proto, with fields in the order of their numbers;
 * they can be written as MessagePack. What a length announces is believed only as far as bytes are there. Only the limited API
 * is used, and none of it between the first byte and the last: other threads run meanwhile.
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

/* Where MessagePack is written, and where its room ends; nothing is written where there is no room at all. */
struct out {
    unsigned char *at, *end;
    int is_full;
};

/* A document: returns the place behind it, NULL if it is not plain; is_cut tells that it only goes on behind the end. */
typedef Place (*Step)(Place at, Place end, Py_ssize_t levels, int *is_cut, struct out *out);

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

#include "_msgpack.h"
#include "_protobuf.h"

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
    struct out nothing = {NULL, NULL, 0};
    PyThreadState *state = view.len > LARGE_BYTES ? PyEval_SaveThread() : NULL;
    levels = levels < MOST_LEVELS ? levels : MOST_LEVELS;
    while (at < last) {
        Place behind = step(at, end, levels, &is_cut, &nothing);
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

static PyObject *
in_messages(PyObject *Py_UNUSED(module), PyObject *args)
{
    return scanned(args, over_document);
}

/* Most bytes of MessagePack that documents take: what is in them at most half as much again as before, and in each document
 * four heads and a deletion. */
#define ROOM(size, documents) (2 * (size) + 50 * (documents) + 16)

static PyObject *
as_msgpack(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *body, *found = NULL;
    Py_ssize_t start, stop, documents;
    if (!PyArg_ParseTuple(args, "Onnn:as_msgpack", &body, &start, &stop, &documents)) {
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > stop || stop > view.len || documents < 0 || documents > stop) {
        PyErr_SetString(PyExc_ValueError, "start or stop lie outside of the body");
    }
    else {
        size_t room = ROOM((size_t)(stop - start), (size_t)documents);
        unsigned char *data = PyMem_Malloc(room);
        if (data == NULL) {
            PyErr_NoMemory();
        }
        else {
            struct out out = {data, data + room, 0};
            Place at = (Place)view.buf + start, end = (Place)view.buf + stop;
            unsigned char *head = put_head(&out, 0xDD);
            uint32_t count = 0;
            int is_cut;
            for (; at != NULL && at < end; count++) {
                at = over_document(at, end, MOST_LEVELS, &is_cut, &out);
            }
            set_count(head, count);
            if (at == NULL || out.is_full) {
                PyErr_SetString(PyExc_ValueError, "a document is not plain, or there are more");
            }
            else {
                found = PyBytes_FromStringAndSize((const char *)data, out.at - data);
            }
            PyMem_Free(data);
        }
    }
    PyBuffer_Release(&view);
    return found;
}

static PyMethodDef methods[] = {
    {"in_maps", in_maps, METH_VARARGS,
     "in_maps(body, start, stop, levels, most): plain maps of MessagePack that begin between start and stop, of at most so many "
     "bytes each: how many, where they end, and whether the next only goes on behind the end of the body."},
    {"in_messages", in_messages, METH_VARARGS,
     "in_messages(body, start, stop, levels, most): the same of documents of Protocol Buffers in a row."},
    {"as_msgpack", as_msgpack, METH_VARARGS,
     "as_msgpack(body, start, stop, documents): so many plain documents of Protocol Buffers as an array of MessagePack, of "
     "arrays of fields, metadata, metadata of fields, and metadata that is said by other names."},
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
