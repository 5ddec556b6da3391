/*
 * Hostile bytes for the native judge, with every set of vector instructions, against a judge that reads a byte at a
 * time. Both must find the same lines whole, and the sanitizers watch: each text lies in an allocation of its own size.
 *
 *   clang -fsanitize=fuzzer,address,undefined fuzz/native.c      libFuzzer looks for inputs
 *   cc -DALONE -fsanitize=address,undefined fuzz/native.c        without it: ./a.out INPUTS SEED FILE...
 *
 * `make fuzz` does the one, `tests/fuzz/test_native.py` the other. The first byte of an input says how long lines may be,
 * and which fields are required.
 */

#define WITHOUT_PYTHON
#include "../auditwatch/trail/judge/_native.c"

#include <stdio.h>
#include <stdlib.h>

/* ---- The slow judge: RFC 8259 and RFC 3629 as they stand there ---- */

struct text {
    const uint8_t *at, *end;
};

static int next(const struct text *text) { return text->at < text->end ? *text->at : -1; }

static bool take(struct text *text, int byte)
{
    if (next(text) != byte) return false;
    text->at++;
    return true;
}

static void skip_blanks(struct text *text)
{
    while (take(text, ' ') || take(text, '\t') || take(text, '\r')) continue;
}

static bool digits(struct text *text)
{
    const uint8_t *begin = text->at;
    while (next(text) >= '0' && next(text) <= '9') text->at++;
    return text->at > begin;
}

static bool number(struct text *text)
{
    take(text, '-');
    if (!take(text, '0') && !digits(text)) return false;
    if (take(text, '.') && !digits(text)) return false;
    if (take(text, 'e') || take(text, 'E')) {
        if (!take(text, '+')) take(text, '-');
        return digits(text);
    }
    return true;
}

static bool character(struct text *text)
{
    static const struct { int first, last, low, high, more; } rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 0}, {0xe0, 0xe0, 0xa0, 0xbf, 1}, {0xe1, 0xec, 0x80, 0xbf, 1},
        {0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xef, 0x80, 0xbf, 1}, {0xf0, 0xf0, 0x90, 0xbf, 2},
        {0xf1, 0xf3, 0x80, 0xbf, 2}, {0xf4, 0xf4, 0x80, 0x8f, 2},
    };
    int first = next(text);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        if (first < rows[row].first || first > rows[row].last) continue;
        text->at++;
        if (next(text) < rows[row].low || next(text) > rows[row].high) return false;
        text->at++;
        for (int more = rows[row].more; more; more--, text->at++)
            if (next(text) < 0x80 || next(text) > 0xbf) return false;
        return true;
    }
    return false;
}

static bool string(struct text *text)
{
    if (!take(text, '"')) return false;
    while (!take(text, '"')) {
        if (next(text) < 0x20) return false;
        if (take(text, '\\')) {
            int escape = next(text);
            if (escape < 0 || !memchr("\"\\/bfnrtu", escape, 9)) return false;
            text->at++;
            for (int hex = 0; escape == 'u' && hex < 4; hex++, text->at++)
                if (next(text) < 0 || !memchr("0123456789abcdefABCDEF", next(text), 22)) return false;
        } else if (next(text) >= 0x80) {
            if (!character(text)) return false;
        } else {
            text->at++;
        }
    }
    return true;
}

static bool word(struct text *text, const char *letters)
{
    for (; *letters; letters++)
        if (!take(text, *letters)) return false;
    return true;
}

static bool value(struct text *text, int depth);

static bool items(struct text *text, int depth, bool are_members, int closing)
{
    text->at++;
    skip_blanks(text);
    if (depth > MAX_DEPTH) return false;
    if (take(text, closing)) return true;
    do {
        skip_blanks(text);
        if (are_members) {
            if (!string(text)) return false;
            skip_blanks(text);
            if (!take(text, ':')) return false;
        }
        if (!value(text, depth)) return false;
    } while (take(text, ','));
    return take(text, closing);
}

static bool value(struct text *text, int depth)
{
    bool found;
    skip_blanks(text);
    switch (next(text)) {
    case '{': found = items(text, depth + 1, true, '}'); break;
    case '[': found = items(text, depth + 1, false, ']'); break;
    case '"': found = string(text); break;
    case 't': found = word(text, "true"); break;
    case 'f': found = word(text, "false"); break;
    case 'n': found = word(text, "null"); break;
    default: found = number(text);
    }
    skip_blanks(text);
    return found;
}

static bool slow_line(const uint8_t *line, size_t length)
{
    struct text text = {line, line + length};
    skip_blanks(&text);
    return next(&text) == '{' && value(&text, 0) && text.at == text.end;
}

static struct whole slow(const uint8_t *text, size_t start, size_t stop, size_t max_line_bytes)
{
    struct whole whole = {0, start};
    const uint8_t *newline;
    while (whole.end < stop && (newline = memchr(text + whole.end, '\n', stop - whole.end))) {
        size_t length = (size_t)(newline - text) - whole.end;
        if (length > max_line_bytes || !slow_line(text + whole.end, length)) break;
        whole.lines++;
        whole.end += length + 1;
    }
    return whole;
}

/* ---- Both ---- */

static void show(const char *who, const uint8_t *text, size_t size, struct whole found, struct whole expected)
{
    fprintf(stderr, "%s: %zu lines up to %zu, not %zu up to %zu:\n", who, found.lines, found.end, expected.lines,
            expected.end);
    for (size_t at = 0; at < size; at++) fprintf(stderr, "%02x", text[at]);
    fprintf(stderr, "\n");
    abort();
}

static unsigned long long judged, passed;

/* What says why a line is damaged must find the whole ones whole, whatever the line is. */
static void explain(const uint8_t *line, size_t size, bool is_whole)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    memcpy(copy, line, size);
    struct value value = read_value(copy, size, 0);
    struct levels levels = count_levels(copy, size);
    if (value.end > size || value.start > size || (is_whole && (!value.is_whole || levels.deepest > MAX_DEPTH))) abort();
    if (is_whole && (levels.is_open || !levels.is_balanced || skip_blank(copy, size, value.end) != size)) abort();
    for (size_t start = 0, error = value.end; start <= size; start += size / 3 + 1)
        if (misplaced_head(copy, size, start, error) > size) abort();
    free(copy);
}

/* Judges the lines of a text as a scan does: after a line that is refused it goes on. */
static void judge(const uint8_t *text, size_t size, size_t max_line_bytes, struct fields *fields)
{
    struct instruction_set sets[3];
    struct fields none = {.packed = (const uint8_t *)""};
    instruction_sets(sets);
    for (size_t start = 0; start < size;) {
        struct whole expected = slow(text, start, size, max_line_bytes), with_fields = {0, 0};
        for (struct instruction_set *set = sets; set->name; set++) {
            struct whole found = set->walk(text, start, size, max_line_bytes, &none);
            struct whole fewer = set->walk(text, start, size, max_line_bytes, fields);
            if (found.lines != expected.lines || found.end != expected.end)
                show(set->name, text, size, found, expected);
            if (set == sets) with_fields = fewer;
            if (fewer.lines != with_fields.lines || fewer.end > found.end)
                show(set->name, text, size, fewer, with_fields);
        }
        const uint8_t *newline = memchr(text + expected.end, '\n', size - expected.end);
        explain(text + start, expected.lines ? (size_t)((uint8_t *)memchr(text + start, '\n', size) - text) - start : size - start,
                expected.lines > 0);
        judged += expected.lines + (newline && (size_t)(newline - text) > expected.end + 1);
        passed += expected.lines;
        if (!newline) return;
        start = (size_t)(newline - text) + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char packed[] = "a\3\"a\"s\3\"b\"i\3\"n\"d\4\"at\"w\4\"on\"";
    static const size_t ends[] = {0, 5, 10, 15, 21, 27};
    if (!size) return 0;
    struct fields fields = {.packed = (const uint8_t *)packed, .size = ends[data[0] % 6]};
    size_t max_line_bytes = data[0] < 128 ? 1 << 20 : data[0] - 128u;
    uint8_t *text = malloc(size - 1 ? size - 1 : 1);
    if (!text || !are_fields(&fields)) abort();
    memcpy(text, data + 1, size - 1);
    judge(text, size - 1, max_line_bytes, &fields);
    free(text);
    return 0;
}

#ifdef ALONE

static uint64_t seed;

static size_t below(size_t most)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return most ? (size_t)((seed >> 11) % most) : 0;
}

#define MOST_BYTES 4096
#define MOST_SEEDS 4096

static uint8_t *seeds[MOST_SEEDS];
static size_t sizes[MOST_SEEDS], seed_count;

static void add_seed(const void *bytes, size_t size)
{
    if (seed_count == MOST_SEEDS || size > MOST_BYTES) return;
    seeds[seed_count] = malloc(size ? size : 1);
    if (!seeds[seed_count]) abort();
    memcpy(seeds[seed_count], bytes, size);
    sizes[seed_count++] = size;
}

static void add_file(const char *path)
{
    uint8_t bytes[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file) return;
    add_seed(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
}

static const char *const lines[] = {
    "{\"at\":\"2025-10-07T12:00:00.5+00:00\",\"b\":\"x\",\"n\":-12,\"a\":{\"price\":64123.5e-1,\"tags\":[\"a\",{},[]]}}\n",
    "{ \"on\" : \"2024-02-29 23:59:60\" , \"b\" : \"say \\\"no\\\"\\\\\", \"a\" : [ true , false , null ] }\t\r\n",
    "{\"event\":\"NOTE\",\"text\":\"\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80\",\"escaped\":\"\\u00e9\\ud83d\\ude00\\n\"}\n",
    "{\"limits\":[{\"name\":\"daily\",\"at\":0.1},{},[],[[]],0,1e400,-0,1E+2]}\n",
    "{\"n\":1,\"n\":\"\",\"\\u006e\":2}\n",
    "{}\n",
};

static const char *const pieces[] = {
    "{", "}", "[", "]", "\"", ":", ",", "\\", "\\\"", "{}", "[]", "\"\"", "\"a\":", "{\"a\":", "true", "null", "false", "-",
    "0", ".", "e", "E+", "1", "9999999999999999999999", "\t", "\r", "\n", " ", "                                   ", "\x0b",
    "\\u00", "\\ud800", "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\xed\xa0\x80",
    "\xe0\x80\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xc0\xaf", "\xff", "\x80", "\x1f", "\x7f", "\xef\xbb\xbf",
    "..................................................................", "[[[[[[[[[[[[[[[[", "]]]]]]]]]]]]]]]]",
    "{\"\":{\"\":{\"\":{\"\":", "}}}}",
};

static size_t insert(uint8_t *text, size_t size, size_t at, const uint8_t *from, size_t length)
{
    if (size + length > MOST_BYTES) return size;
    memmove(text + at + length, text + at, size - at);
    memmove(text + at, from, length);
    return size + length;
}

static size_t mutated(uint8_t *text)
{
    size_t pick = below(seed_count), size = sizes[pick];
    memcpy(text, seeds[pick], size);
    for (size_t left = below(5); left && size; left--) {
        size_t at = below(size + 1), other = below(seed_count), from = below(sizes[other]);
        uint8_t copied[64];
        size_t length;
        switch (below(6)) {
        case 0: text[below(size)] ^= (uint8_t)(1 << below(8)); break;
        case 1: text[below(size)] = (uint8_t)below(256); break;
        case 2:
            length = below(5) ? 1 : below(32);
            if (at + length < size) memmove(text + at, text + at + length, (size -= length) - at);
            break;
        case 3:
            length = below(sizes[other] - from < sizeof copied ? sizes[other] - from : sizeof copied);
            size = insert(text, size, at, seeds[other] + from, length);
            break;
        case 4:
            length = size - at < sizeof copied ? size - at : sizeof copied;
            memcpy(copied, text + at, length);
            size = insert(text, size, below(size + 1), copied, length);
            break;
        default:
            other = below(sizeof pieces / sizeof *pieces);
            size = insert(text, size, at, (const uint8_t *)pieces[other], strlen(pieces[other]));
        }
    }
    return size;
}

int main(int count, char **arguments)
{
    if (count < 3) return 2;
    long inputs = atol(arguments[1]);
    seed = strtoull(arguments[2], NULL, 10) * 0x9e3779b97f4a7c15 + 1;
    for (size_t line = 0; line < sizeof lines / sizeof *lines; line++) add_seed(lines[line], strlen(lines[line]));
    for (int file = 3; file < count; file++) add_file(arguments[file]);
    while (inputs-- > 0) {
        uint8_t text[1 + MOST_BYTES + 1];
        text[0] = (uint8_t)(below(4) ? below(128) : below(256));
        size_t size = 1 + mutated(text + 1);
        if (below(8)) text[size++] = '\n';
        unsigned long long before = passed;
        LLVMFuzzerTestOneInput(text, size);
        if (passed > before && below(8) == 0 && size < 1024) { /* begin with what is whole: so changes add up */
            size_t place = sizeof lines / sizeof *lines + below(MOST_SEEDS / 4);
            if (place >= seed_count) {
                add_seed(text + 1, size - 1);
            } else {
                free(seeds[place]);
                seeds[place] = malloc(size);
                if (!seeds[place]) abort();
                memcpy(seeds[place], text + 1, sizes[place] = size - 1);
            }
        }
    }
    printf("%llu lines, %llu of them whole, no difference\n", judged, passed);
    return 0;
}

#endif
