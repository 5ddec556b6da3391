/*
 * How many lines from here are whole: the native half of the judge. (`_damage.h` has what is wrong with the others.)
 *
 * A line is whole if it is one JSON object (RFC 8259) in UTF-8, at most 512 levels deep and not too long, with white
 * space around it at most. This walk may refuse what is whole, for `explain` has the last word on each refused line. It
 * must never pass what is not.
 *
 * Bytes are taken 64 at a time. Vector instructions turn each block into masks: 64-bit numbers, one for each class of
 * bytes, in which bit i says whether byte i belongs to the class. The grammar is then checked for all 64 bytes at once,
 * with shifts, sums and logic (`_walk.h`); only brackets are visited one by one, to know what each of them closes. So
 * the time depends little on what the bytes are.
 *
 * Two rules make this sound:
 *
 *   - What a mask says of a byte depends on that byte and on bytes before it, the five bytes of `false` aside.
 *   - An error of a line shows at its newline at the latest. A newline belongs to no string, number, word, escape or
 *     character, so whatever is unfinished there is an error there.
 *
 * Hence all lines that end before the first error are whole, and nothing after it has been looked at that matters.
 *
 * Nothing is allocated, nothing recurses, there are no variables but those on the stack, and no byte outside of the
 * buffer is read: the last bytes, if less than a block, are copied to a block of their own first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A stale build is not used: auditwatch/trail/judge/native.py has the same number, and both change with any of this. */
#define VERSION 4

#define BLOCK 64
#define MAX_DEPTH 512 /* auditwatch/trail/limits.py */
#define LONGEST_WORD 5
#define ALL (~(mask)0)

#define INLINE static inline __attribute__((always_inline))

/* Bit i says something about byte i of a block. */
typedef uint64_t mask;

#include "_masks.h"
#include "_fields.h"
#include "_damage.h"
#include "_vectors.h"

/* The walk, once for each instruction set. */

#define PASTE(a, b) a##_##b
#define NAMED(a, b) PASTE(a, b)

#if defined(__x86_64__)
#define SET sse2
#define TARGET
#include "_walk.h"
#undef SET
#undef TARGET
#define SET avx2
#define TARGET AVX2
#include "_walk.h"
#else
#define SET neon
#define TARGET
#include "_walk.h"
#endif

/* ---- The way in ---- */

typedef struct whole (*walk_function)(const uint8_t *text, size_t start, size_t stop, size_t max_line_bytes,
                                      const struct fields *fields);

struct instruction_set {
    const char *name;
    walk_function walk;
};

/* The instruction sets that this processor has, the best first; the last entry has no name. */
static void instruction_sets(struct instruction_set found[3])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"))
        *found++ = (struct instruction_set){"avx2", walk_avx2};
    *found++ = (struct instruction_set){"sse2", walk_sse2};
#else
    *found++ = (struct instruction_set){"neon", walk_neon};
#endif
    *found = (struct instruction_set){NULL, NULL};
}

#ifndef WITHOUT_PYTHON

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

/* The walk with the instruction set of that name, or the best one if there is no name; NULL if there is none such. */
static walk_function chosen(const char *name)
{
    struct instruction_set sets[3];
    instruction_sets(sets);
    for (struct instruction_set *set = sets; set->name; set++)
        if (!name || strcmp(name, set->name) == 0) return set->walk;
    return NULL;
}

/* Shorter texts are done before another thread could take over. */
#define WORTH_A_RELEASE 4096

PyDoc_STRVAR(whole_doc,
             "whole(buffer, start, stop, max_line_bytes, fields=b'', instructions=None, /)\n--\n\n"
             "How many lines from `start` are whole, and the offset just after the last of them.\n\n"
             "Raises:\n    ValueError: An argument is not what it should be.");

static PyObject *whole_lines(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    Py_ssize_t start, stop, max_line_bytes, fields_size = 0;
    const char *instructions = NULL, *packed = "";
    struct whole found;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnn|y#z:whole", &buffer, &start, &stop, &max_line_bytes, &packed, &fields_size,
                          &instructions))
        return NULL;
    struct fields fields = {.packed = (const uint8_t *)packed, .size = (size_t)fields_size};
    walk_function walk = chosen(instructions);
    if (!walk || start < 0 || start > stop || stop > buffer.len || max_line_bytes < 0 || !are_fields(&fields)) {
        PyBuffer_Release(&buffer);
        PyErr_SetString(PyExc_ValueError, walk ? "the range is not in the buffer, or these are no fields"
                                               : "this processor has no such instructions");
        return NULL;
    }
    if (stop - start < WORTH_A_RELEASE) {
        found = walk(buffer.buf, (size_t)start, (size_t)stop, (size_t)max_line_bytes, &fields);
    } else {
        Py_BEGIN_ALLOW_THREADS
        found = walk(buffer.buf, (size_t)start, (size_t)stop, (size_t)max_line_bytes, &fields);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&buffer);
    return Py_BuildValue("nn", (Py_ssize_t)found.lines, (Py_ssize_t)found.end);
}

/* The buffer of the first argument and one or two offsets into it; false with an exception if they are not that. */
static bool parsed(PyObject *arguments, const char *format, Py_buffer *buffer, Py_ssize_t *one, Py_ssize_t *two)
{
    if (!PyArg_ParseTuple(arguments, format, buffer, one, two)) return false;
    if (*one >= 0 && *one <= buffer->len && *two >= 0 && *two <= buffer->len) return true;
    PyBuffer_Release(buffer);
    PyErr_SetString(PyExc_ValueError, "the offset is not in the buffer");
    return false;
}

PyDoc_STRVAR(value_doc, "value(buffer, at, /)\n--\n\n"
                        "Where the value begins that is at `at`, where it ends or goes wrong, and whether it ends;\n"
                        "None if it nests too deeply to tell.");

static PyObject *value(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    Py_ssize_t at = 0, unused = 0;
    (void)module;
    if (!parsed(arguments, "y*n:value", &buffer, &at, &unused)) return NULL;
    struct value found = read_value(buffer.buf, (size_t)buffer.len, (size_t)at);
    PyBuffer_Release(&buffer);
    if (found.is_unknown) return Py_NewRef(Py_None);
    return Py_BuildValue("nnO", (Py_ssize_t)found.start, (Py_ssize_t)found.end, found.is_whole ? Py_True : Py_False);
}

PyDoc_STRVAR(head_doc, "head(buffer, start, error, /)\n--\n\n"
                       "Where a record begins that cannot begin there, strings counted from `start` on; None if nowhere.");

static PyObject *head(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    Py_ssize_t start = 0, error = 0;
    (void)module;
    if (!parsed(arguments, "y*nn:head", &buffer, &start, &error)) return NULL;
    size_t size = (size_t)buffer.len, found = misplaced_head(buffer.buf, size, (size_t)start, (size_t)error);
    PyBuffer_Release(&buffer);
    return found == size ? Py_NewRef(Py_None) : PyLong_FromSize_t(found);
}

PyDoc_STRVAR(levels_doc, "levels(buffer, /)\n--\n\n"
                         "Most brackets open at once, whether all were closed and none before it was opened, and\n"
                         "whether the text ends within a string.");

static PyObject *levels(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    Py_ssize_t unused = 0;
    (void)module;
    if (!parsed(arguments, "y*:levels", &buffer, &unused, &unused)) return NULL;
    struct levels found = count_levels(buffer.buf, (size_t)buffer.len);
    PyBuffer_Release(&buffer);
    return Py_BuildValue("nOO", (Py_ssize_t)found.deepest, found.is_balanced ? Py_True : Py_False,
                         found.is_open ? Py_True : Py_False);
}

static int add_constants(PyObject *module)
{
    struct instruction_set sets[3];
    PyObject *names = PyList_New(0);
    if (!names) return -1;
    instruction_sets(sets);
    for (struct instruction_set *set = sets; set->name; set++) {
        PyObject *name = PyUnicode_FromString(set->name);
        int failed = !name || PyList_Append(names, name);
        Py_XDECREF(name);
        if (failed) {
            Py_DECREF(names);
            return -1;
        }
    }
    int failed = PyModule_AddObjectRef(module, "INSTRUCTIONS", names);
    Py_DECREF(names);
    return failed ? -1 : PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static PyMethodDef methods[] = {
    {"whole", whole_lines, METH_VARARGS, whole_doc},
    {"value", value, METH_VARARGS, value_doc},
    {"head", head, METH_VARARGS, head_doc},
    {"levels", levels, METH_VARARGS, levels_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_constants},
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "auditwatch.trail.judge._native",
    .m_doc = "Whole lines of a text, with vector instructions; see `auditwatch.trail.judge.native`.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }

#endif
