/*
 * Masks: 64-bit numbers, one for each class of bytes, in which bit i says whether byte i of a block belongs to it. How to
 * follow runs of bytes, escapes, strings, brackets and words with them, over blocks.
 */

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

/* ---- Brackets ---- */

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

/* ---- Words ---- */

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
