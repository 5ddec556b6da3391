/*
 * How many lines from here are whole: the native half of the judge. (`_damage.h` has what is wrong with the others.)
 *
 * A line is whole if it is one JSON object (RFC 8259) in UTF-8, at most 512 levels deep and not too long, with white
 * space around it at most. This walk may refuse what is whole, for `explain` has the last word on each refused line. It
 * must never pass what is not.
 *
 * Bytes are taken 64 at a time. Vector instructions turn each block into masks: 64-bit numbers, one for each class of
 * bytes, in which bit i says whether byte i belongs to the class. The grammar is then checked for all 64 bytes at once,
 * with shifts, sums and logic (`walk.h`); only brackets are visited one by one, to know what each of them closes. So
 * the time depends little on what the bytes are, and nothing is guessed.
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

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#else
#error "no vector instructions are known for this processor: auditwatch judges in Python"
#endif

/* A stale build is not used: auditwatch/trail/judge/native.py has the same number, and both change with any of this. */
#define VERSION 4

#define BLOCK 64
#define MAX_DEPTH 512 /* auditwatch/trail/limits.py */
#define LONGEST_WORD 5
#define ALL (~(mask)0)

#define INLINE static inline __attribute__((always_inline))

/* Bit i says something about byte i of a block. */
typedef uint64_t mask;

/* ---- Masks ------------------------------------------------------------------------------------------------------- */

/*
 * What a block knows of the one before it, or tells the next: a mask in which only bit 0 can be set. Functions take a
 * carry, use it and leave the next one there.
 */
typedef mask carry;

/* Every byte that comes right after a byte of `bytes`. */
INLINE mask after(mask bytes, carry *last)
{
    mask found = bytes * 2 + *last;
    *last = bytes >> 63;
    return found;
}

/* The sum of two masks and a carry. */
INLINE mask sum(mask a, mask b, carry *over)
{
    mask partial = a + b, whole = partial + *over;
    *over = (mask)(partial < a) | (mask)(whole < partial);
    return whole;
}

/*
 * Where the runs of `run` end that begin at one of `starts`: the first byte after each; a start outside of any run is
 * its own end. A sum does it: it carries up through the run and stops at the first byte after it. A start must be the
 * first byte of a run, or of what is left of it in this block. If a run may go on in the next block, this sets the carry.
 */
INLINE mask run_ends(mask starts, mask run, carry *goes_on)
{
    mask ends = (starts & run) + run;
    *goes_on |= (mask)(ends < run);
    return (starts | ends) & ~run;
}

/* Each bit is whether the bits up to it, itself included, are odd in number. */
INLINE mask parity(mask bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    return bits ^ bits << 32;
}

/*
 * The bytes that a backslash escapes. In a run of backslashes every second one is escaped, from wherever the run
 * begins: the difference flips the odd bits of each run that begins at an odd bit, so that runs need no visits.
 * (simdjson's `json_escape_scanner`.) `escaped` is 1 if the first byte is escaped, and then says so of the next block.
 */
INLINE mask escaped_by(mask backslash, carry *escaped)
{
    const mask odd = 0xaaaaaaaaaaaaaaaa;
    mask first = *escaped, escaping = backslash & ~first;
    mask codes = ((escaping << 1 | odd) - escaping) ^ odd;
    *escaped = (codes & backslash) >> 63;
    return codes ^ (backslash | first);
}

/* ---- Brackets ---------------------------------------------------------------------------------------------------- */

/* The brackets that are open. */
struct open {
    int depth;
    mask kinds;                       /* bit 0: whether the innermost is an object; bit 1: the one around it; ... */
    mask saved[MAX_DEPTH / BLOCK];    /* `kinds` at a depth of 64, 128, ...: it has no room for more */
};

/* What lies where, as to the brackets of a block. */
struct nesting {
    mask object; /* bytes directly in an object; a bracket lies in what is around it, a closing one in what it closes */
    mask top;    /* bytes in no bracket */
    mask first;  /* bytes directly in the outermost object */
    mask errors; /* brackets that close nothing, or what they did not open; that nest too deeply; a line's first `[` */
};

INLINE void push(struct open *open, mask is_object)
{
    if (open->depth && open->depth % BLOCK == 0) open->saved[open->depth / BLOCK - 1] = open->kinds;
    open->kinds = open->kinds << 1 | is_object;
    open->depth++;
}

INLINE void pop(struct open *open)
{
    open->depth--;
    open->kinds >>= 1;
    if (open->depth && open->depth % BLOCK == 0) open->kinds = open->saved[open->depth / BLOCK - 1];
}

/* Visit the brackets of a block, up to the first that is an error. */
INLINE struct nesting nest(struct open *open, mask opening, mask closing, mask curly)
{
    struct nesting found = {0, 0, 0, 0};
    mask left = opening | closing, rest = ALL;
    while (left) {
        mask bracket = left & -left, until = rest & (bracket ^ (bracket - 1));
        mask is_object = (curly & bracket) != 0;
        found.object |= until & -(open->kinds & 1);
        found.top |= open->depth ? 0 : until;
        found.first |= open->depth == 1 ? until : 0;
        if (opening & bracket) {
            if (open->depth == MAX_DEPTH || (open->depth == 0 && !is_object)) {
                found.errors = bracket;
                return found;
            }
            push(open, is_object);
        } else {
            if (open->depth == 0 || (open->kinds & 1) != is_object) {
                found.errors = bracket;
                return found;
            }
            pop(open);
        }
        rest &= ~until;
        left &= left - 1;
    }
    found.object |= rest & -(open->kinds & 1);
    found.top |= open->depth ? 0 : rest;
    found.first |= open->depth == 1 ? rest : 0;
    return found;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

/* How long the word is that begins here: true, false or null; 0 if it is none of them. Reads LONGEST_WORD bytes. */
INLINE unsigned word_length(const uint8_t *at)
{
    if (memcmp(at, "true", 4) == 0 || memcmp(at, "null", 4) == 0) return 4;
    return memcmp(at, "false", 5) == 0 ? 5 : 0;
}

/*
 * The bytes of the words that begin at `starts`; what begins there and is none is added to `errors`. `going_on` are the
 * bytes of a word that began in the block before, and then those that are left for the next.
 */
INLINE mask words(const uint8_t *block, size_t readable, mask starts, mask *going_on, mask *errors)
{
    mask found = *going_on;
    *going_on = 0;
    for (; starts; starts &= starts - 1) {
        unsigned at = (unsigned)__builtin_ctzll(starts);
        unsigned length = at + LONGEST_WORD <= readable ? word_length(block + at) : 0;
        if (!length) {
            *errors |= starts & -starts;
            return found;
        }
        mask bytes = ((mask)1 << length) - 1;
        found |= bytes << at;
        if (at + length > BLOCK) *going_on = bytes >> (BLOCK - at);
    }
    return found;
}

/* ---- Required fields ---------------------------------------------------------------------------------------------- */

/*
 * The fields that every record must have, one after the other: a letter for the type (auditwatch/trail/judge/native.py),
 * the length of the name in one byte, and the name with its quotes, as it stands in a record.
 */
struct fields {
    const uint8_t *packed;
    size_t size;
    mask all;         /* a bit for each of them, the first one's is bit 0 */
    mask initials[4]; /* a bit for each byte that comes first in one of the names */
};

#define MOST_FIELDS 64

INLINE bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* The number that these two digits are; 100 if they are not digits. */
INLINE unsigned two_digits(const uint8_t *at)
{
    return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10u + (at[1] - '0') : 100;
}

INLINE unsigned days_in(unsigned year, unsigned month)
{
    if (month == 2) return 28 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return 30 + (0xad5 >> (month - 1) & 1);
}

/*
 * Whether a string that begins at `at`, after its opening quote, is a date and time as in RFC 3339, section 5.6, with
 * its offset, or exactly that without one. A blank may replace the T, and a second may be the sixtieth.
 */
static bool is_date(const uint8_t *at, const uint8_t *stop, bool has_offset)
{
    if (stop - at < 20) return false;
    unsigned century = two_digits(at), year = two_digits(at + 2), month = two_digits(at + 5), day = two_digits(at + 8);
    if (century > 99 || year > 99 || at[4] != '-' || month < 1 || month > 12 || at[7] != '-') return false;
    if (day < 1 || day > days_in(century * 100 + year, month) || (at[10] != 'T' && at[10] != 't' && at[10] != ' '))
        return false;
    if (two_digits(at + 11) > 23 || at[13] != ':' || two_digits(at + 14) > 59 || at[16] != ':') return false;
    if (two_digits(at + 17) > 60) return false;
    at += 19;
    if (*at == '.') {
        const uint8_t *point = at++;
        while (at < stop && is_digit(*at)) at++;
        if (at - point < 2) return false;
    }
    if (at < stop && has_offset) {
        if (*at == 'Z' || *at == 'z') {
            at++;
        } else {
            if (stop - at < 6 || (*at != '+' && *at != '-')) return false;
            if (two_digits(at + 1) > 23 || at[3] != ':' || two_digits(at + 4) > 59) return false;
            at += 6;
        }
    }
    return at < stop && *at == '"';
}

/* Whether a value that begins at `at`, in a line that may yet turn out to be damaged, has a type. */
static bool has_type(const uint8_t *at, const uint8_t *stop, uint8_t type)
{
    if (at == stop) return false;
    switch (type) {
    case 'a': return true;
    case 's': return *at == '"';
    case 'b': return *at == 't' || *at == 'f';
    case 'o': return *at == '{';
    case 'l': return *at == '[';
    case 'n': return *at == '-' || is_digit(*at);
    case 'd': return *at == '"' && is_date(at + 1, stop, true);
    case 'w': return *at == '"' && is_date(at + 1, stop, false);
    case 'i':
        at += *at == '-';
        if (at == stop || !is_digit(*at)) return false;
        while (at < stop && is_digit(*at)) at++;
        return at < stop && *at != '.' && *at != 'e' && *at != 'E';
    default: return false;
    }
}

/* Where the value begins whose key ends just before `at`; `stop` if it is not to be seen. */
INLINE const uint8_t *value_after(const uint8_t *at, const uint8_t *stop)
{
    bool colon = false;
    for (; at < stop && (*at == ' ' || *at == '\t' || *at == '\r' || (*at == ':' && !colon)); at++) colon |= *at == ':';
    return colon ? at : stop;
}

/* Whether the key that begins at `at` may be that of a field. */
INLINE bool may_be_field(const struct fields *fields, const uint8_t *at, const uint8_t *stop)
{
    return stop - at > 1 && fields->initials[at[1] / 64] >> at[1] % 64 & 1;
}

/* `had` and the field whose key begins at `at`, if its value has the type; without that field if it has not. */
static mask with_field(const struct fields *fields, mask had, const uint8_t *at, const uint8_t *stop)
{
    const uint8_t *field = fields->packed, *end = field + fields->size;
    for (mask one = 1; field < end; field += 2 + field[1], one <<= 1) {
        size_t length = field[1];
        if (length > (size_t)(stop - at) || at[1] != field[3] || memcmp(at, field + 2, length) != 0) continue;
        had = has_type(value_after(at + length, stop), stop, field[0]) ? had | one : had & ~one;
    }
    return had;
}

/* ---- Instruction sets ---------------------------------------------------------------------------------------------
 *
 * Each has a block of 64 bytes (`bytes`), what a comparison says of each of them (`lanes`), and
 *
 *   load(from)             the 64 bytes there
 *   equal(bytes, c)        which are c
 *   folded(bytes, c)       which are c once bit 5 is set: `{` and `[`, `}` and `]`, `e` and `E`
 *   at_most(bytes, c)      which are c or less, without signs
 *   within(bytes, c, n)    which are from c to c + n
 *   either(lanes, lanes)   which are one or the other
 *   mask_of(lanes)         the mask
 *   bit(bytes, n)          the mask of those whose bit n is set, n from 4 to 7
 */

#define PASTE(a, b) a##_##b
#define NAMED(a, b) PASTE(a, b)

#if defined(__x86_64__)

typedef struct { __m128i a, b, c, d; } bytes_sse2;
typedef bytes_sse2 lanes_sse2;

#define SSE2_EACH(x, f) (bytes_sse2){f((x).a), f((x).b), f((x).c), f((x).d)}

INLINE bytes_sse2 load_sse2(const uint8_t *from)
{
    const __m128i *at = (const __m128i *)from;
    return (bytes_sse2){_mm_loadu_si128(at), _mm_loadu_si128(at + 1), _mm_loadu_si128(at + 2), _mm_loadu_si128(at + 3)};
}
INLINE lanes_sse2 equal_sse2(bytes_sse2 x, char c)
{
    __m128i v = _mm_set1_epi8(c);
#define F(lane) _mm_cmpeq_epi8(lane, v)
    return SSE2_EACH(x, F);
#undef F
}
INLINE lanes_sse2 folded_sse2(bytes_sse2 x, char c)
{
    __m128i v = _mm_set1_epi8(c), fold = _mm_set1_epi8(0x20);
#define F(lane) _mm_cmpeq_epi8(_mm_or_si128(lane, fold), v)
    return SSE2_EACH(x, F);
#undef F
}
INLINE lanes_sse2 at_most_sse2(bytes_sse2 x, char c)
{
    __m128i v = _mm_set1_epi8(c);
#define F(lane) _mm_cmpeq_epi8(_mm_min_epu8(lane, v), lane)
    return SSE2_EACH(x, F);
#undef F
}
INLINE lanes_sse2 within_sse2(bytes_sse2 x, char c, char n)
{
    __m128i v = _mm_set1_epi8(c);
#define F(lane) _mm_sub_epi8(lane, v)
    return at_most_sse2(SSE2_EACH(x, F), n);
#undef F
}
INLINE lanes_sse2 either_sse2(lanes_sse2 x, lanes_sse2 y)
{
    return (lanes_sse2){_mm_or_si128(x.a, y.a), _mm_or_si128(x.b, y.b), _mm_or_si128(x.c, y.c), _mm_or_si128(x.d, y.d)};
}
INLINE mask mask_of_sse2(lanes_sse2 x)
{
    mask a = (unsigned)_mm_movemask_epi8(x.a), b = (unsigned)_mm_movemask_epi8(x.b);
    mask c = (unsigned)_mm_movemask_epi8(x.c), d = (unsigned)_mm_movemask_epi8(x.d);
    return (a | b << 16) | (c | d << 16) << 32;
}
INLINE mask bit_sse2(bytes_sse2 x, int n)
{
#define F(lane) _mm_slli_epi16(lane, 7 - n)
    return mask_of_sse2(SSE2_EACH(x, F));
#undef F
}

#define SET sse2
#define TARGET
#include "_walk.h"
#undef SET
#undef TARGET

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

typedef struct { __m256i a, b; } bytes_avx2;
typedef bytes_avx2 lanes_avx2;

AVX2 INLINE bytes_avx2 load_avx2(const uint8_t *from)
{
    const __m256i *at = (const __m256i *)from;
    return (bytes_avx2){_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
AVX2 INLINE lanes_avx2 equal_avx2(bytes_avx2 x, char c)
{
    __m256i v = _mm256_set1_epi8(c);
    return (lanes_avx2){_mm256_cmpeq_epi8(x.a, v), _mm256_cmpeq_epi8(x.b, v)};
}
AVX2 INLINE lanes_avx2 folded_avx2(bytes_avx2 x, char c)
{
    __m256i fold = _mm256_set1_epi8(0x20);
    return equal_avx2((bytes_avx2){_mm256_or_si256(x.a, fold), _mm256_or_si256(x.b, fold)}, c);
}
AVX2 INLINE lanes_avx2 at_most_avx2(bytes_avx2 x, char c)
{
    __m256i v = _mm256_set1_epi8(c);
    __m256i a = _mm256_min_epu8(x.a, v), b = _mm256_min_epu8(x.b, v);
    return (lanes_avx2){_mm256_cmpeq_epi8(a, x.a), _mm256_cmpeq_epi8(b, x.b)};
}
AVX2 INLINE lanes_avx2 within_avx2(bytes_avx2 x, char c, char n)
{
    __m256i v = _mm256_set1_epi8(c);
    return at_most_avx2((bytes_avx2){_mm256_sub_epi8(x.a, v), _mm256_sub_epi8(x.b, v)}, n);
}
AVX2 INLINE lanes_avx2 either_avx2(lanes_avx2 x, lanes_avx2 y)
{
    return (lanes_avx2){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
AVX2 INLINE mask mask_of_avx2(lanes_avx2 x)
{
    mask a = (unsigned)_mm256_movemask_epi8(x.a), b = (unsigned)_mm256_movemask_epi8(x.b);
    return a | b << 32;
}
AVX2 INLINE mask bit_avx2(bytes_avx2 x, int n)
{
    return mask_of_avx2((lanes_avx2){_mm256_slli_epi16(x.a, 7 - n), _mm256_slli_epi16(x.b, 7 - n)});
}

#define SET avx2
#define TARGET AVX2
#include "_walk.h"
#undef SET
#undef TARGET

#else /* aarch64 */

typedef struct { uint8x16_t a, b, c, d; } bytes_neon;
typedef bytes_neon lanes_neon;

#define NEON_EACH(x, f) (bytes_neon){f((x).a), f((x).b), f((x).c), f((x).d)}

INLINE bytes_neon load_neon(const uint8_t *from)
{
    return (bytes_neon){vld1q_u8(from), vld1q_u8(from + 16), vld1q_u8(from + 32), vld1q_u8(from + 48)};
}
INLINE lanes_neon equal_neon(bytes_neon x, char c)
{
    uint8x16_t v = vdupq_n_u8((uint8_t)c);
#define F(lane) vceqq_u8(lane, v)
    return NEON_EACH(x, F);
#undef F
}
INLINE lanes_neon folded_neon(bytes_neon x, char c)
{
    uint8x16_t v = vdupq_n_u8((uint8_t)c), fold = vdupq_n_u8(0x20);
#define F(lane) vceqq_u8(vorrq_u8(lane, fold), v)
    return NEON_EACH(x, F);
#undef F
}
INLINE lanes_neon at_most_neon(bytes_neon x, char c)
{
    uint8x16_t v = vdupq_n_u8((uint8_t)c);
#define F(lane) vcleq_u8(lane, v)
    return NEON_EACH(x, F);
#undef F
}
INLINE lanes_neon within_neon(bytes_neon x, char c, char n)
{
    uint8x16_t v = vdupq_n_u8((uint8_t)c);
#define F(lane) vsubq_u8(lane, v)
    return at_most_neon(NEON_EACH(x, F), n);
#undef F
}
INLINE lanes_neon either_neon(lanes_neon x, lanes_neon y)
{
    return (lanes_neon){vorrq_u8(x.a, y.a), vorrq_u8(x.b, y.b), vorrq_u8(x.c, y.c), vorrq_u8(x.d, y.d)};
}
/* Each lane keeps one bit of its own; adding neighbours three times brings eight of them into one byte. */
INLINE mask mask_of_neon(lanes_neon x)
{
    const uint8x16_t own = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
#define F(lane) vandq_u8(lane, own)
    x = NEON_EACH(x, F);
#undef F
    uint8x16_t pairs = vpaddq_u8(vpaddq_u8(x.a, x.b), vpaddq_u8(x.c, x.d));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
}
INLINE mask bit_neon(bytes_neon x, int n)
{
    uint8x16_t v = vdupq_n_u8((uint8_t)(1 << n));
#define F(lane) vtstq_u8(lane, v)
    return mask_of_neon(NEON_EACH(x, F));
#undef F
}

#define SET neon
#define TARGET
#include "_walk.h"
#undef SET
#undef TARGET

#endif

#include "_damage.h"

/* ---- The way in -------------------------------------------------------------------------------------------------- */

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

/* Whether these are fields as `struct fields` has them, packed; sets the rest of it. */
static bool are_fields(struct fields *fields)
{
    unsigned count = 0;
    size_t at = 0;
    while (fields->size - at > 3 && fields->packed[at + 1] >= 2) {
        uint8_t initial = fields->packed[at + 3];
        fields->initials[initial / 64] |= (mask)1 << initial % 64;
        at += 2u + fields->packed[at + 1];
        if (at > fields->size || ++count > MOST_FIELDS) return false;
    }
    fields->all = count ? ALL >> (MOST_FIELDS - count) : 0;
    return at == fields->size;
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
