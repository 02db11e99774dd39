/* One AdamW step of schemes C to F (schemes.py says what they keep), each number read and written once, and scheme I's,
 * which needs a matrix's gradient three times. torch makes up to thirty passes of it. Built by setup (pyproject.toml)
 * where there is a C compiler, and called through ctypes.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef _MSC_VER
#define EXPORT __declspec(dllexport)
#define INLINE static __forceinline
#define restrict __restrict
#else
#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#endif

enum { VERSION = 2, BLOCK = 256, LANES = 8, SUMS = 32 };

struct hyper {
    float scale;   /* what gradients are multiplied with */
    float keep;    /* what weight decay leaves */
    float rate;    /* with the first memory's correction in it */
    float new1;    /* the gradient's share of the first memory */
    float old2, new2;
    float root;    /* the second memory's correction, a factor of its square root */
    float divisor; /* the same, to divide by */
    float epsilon;
};

INLINE float number(int32_t bits)
{
    float found;
    memcpy(&found, &bits, sizeof found);
    return found;
}

INLINE int32_t bits_of(float given)
{
    int32_t found;
    memcpy(&found, &given, sizeof found);
    return found;
}

/* 32 well-mixed bits (Chris Wellons's lowbias32). */
INLINE uint32_t mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

INLINE float larger(float a, float b) { return a > b ? a : b; }

/* Schemes C and D: operation by operation what torch's fused kernel does, since C keeps the bits of an AdamW in memory.
 * That one adds the square up in another order behind the last whole vector (`is_rest`).
 */
INLINE void learn_exact(int64_t count, int is_short, int is_rest, int16_t *restrict w, int16_t *restrict r,
                        void *restrict m, void *restrict v, const void *restrict gradient, int is_wide, uint32_t noise,
                        const struct hyper h)
{
    float *m32 = m, *v32 = v;
    uint16_t *m16 = m, *v16 = v;
    const int is_near = h.new1 < 0.5f; /* the end that torch counts from */
    const float share = is_near ? h.new1 : h.new1 - 1;
    for (int64_t k = 0; k < count; k++) {
        float p = number((int32_t)((uint32_t)w[k] * 65536 + r[k])) * h.keep;
        float g = is_wide ? ((const float *)gradient)[k]
                          : number((int32_t)((uint32_t)((const uint16_t *)gradient)[k] << 16));
        float mean = is_short ? number((int32_t)((uint32_t)m16[k] << 16)) : m32[k];
        float square = is_short ? number((int32_t)((uint32_t)v16[k] << 16)) : v32[k];
        g *= h.scale;
        mean = fmaf(share, g - mean, is_near ? mean : g);
        const float own = h.new2 * g, old = square * h.old2;
        square = is_rest ? fmaf(square, h.old2, own * g) : fmaf(own, g, old);
        const float size = sqrtf(square) / h.divisor;
        const float step = h.rate * mean / (size + h.epsilon);
        const int32_t bits = bits_of(p - step);
        r[k] = (int16_t)bits;
        w[k] = (int16_t)((int32_t)((uint32_t)bits + 32768) >> 16);
        if (is_short) {
            const uint32_t own_m = (uint32_t)bits_of(mean), own_v = (uint32_t)bits_of(square);
            m16[k] = (uint16_t)((own_m + 32767 + (own_m >> 16 & 1)) >> 16); /* to even, as torch */
            v16[k] = (uint16_t)((own_v + (mixed(~(noise + (uint32_t)k)) >> 16)) >> 16);
        } else {
            m32[k] = mean;
            v32[k] = square;
        }
    }
}

INLINE void learn_exactly(int64_t count, int is_short, int16_t *w, int16_t *r, char *m, char *v, const char *gradient,
                          int is_wide, uint32_t noise, const struct hyper *h)
{
    const int64_t rest = count % LANES, whole = count - rest;
    const int each = is_short ? 2 : 4, of_gradient = is_wide ? 4 : 2;
    learn_exact(whole, is_short, 0, w, r, m, v, gradient, is_wide, noise, *h);
    learn_exact(rest, is_short, 1, w + whole, r + whole, m + each * whole, v + each * whole,
                gradient + of_gradient * whole, is_wide, noise + (uint32_t)whole, *h);
}

/* Schemes E and F. Square roots are shared: what the step divides by is sqrt(v), and the second memory keeps fourth
 * roots. Numbers that share scales, as many as there are of them (all but for the last of a matrix). */
INLINE void learn_block(int count, int is_short, int16_t *restrict w, void *restrict r, int8_t *restrict m,
                        uint8_t *restrict v, float *restrict ms, float *restrict vs, const float *restrict gradient,
                        uint32_t noise, const struct hyper h)
{
    float first[BLOCK], root[BLOCK];
    int16_t *r16 = r;
    int8_t *r8 = r;
    const float from_m = *ms / (127 * 127), from_v = *vs / (255.0f * 255 * 255 * 255);
    int32_t most_m = 0, most_v = 0; /* of numbers that are not negative, bits are in the order of the numbers */
    for (int k = 0; k < count; k++) {
        uint32_t held = is_short ? ((uint32_t)w[k] * 256 + r8[k]) * 256 : (uint32_t)w[k] * 65536 + r16[k];
        float p = number((int32_t)held) * h.keep, g = gradient[k] * h.scale, code = m[k], fourth = v[k];
        float mean = code * fabsf(code) * from_m;
        mean += h.new1 * (g - mean);
        fourth *= fourth;
        float square = h.old2 * (fourth * fourth * from_v) + h.new2 * g * g, size = sqrtf(square);
        int32_t bits = bits_of(p - h.rate * mean / (size * h.root + h.epsilon));
        if (is_short) {
            bits = (int32_t)((uint32_t)bits + (mixed(noise + k) >> 24)) >> 8;
            r8[k] = (int8_t)bits;
            w[k] = (int16_t)((bits + 128) >> 8);
        } else {
            r16[k] = (int16_t)bits;
            w[k] = (int16_t)((int32_t)((uint32_t)bits + 32768) >> 16);
        }
        first[k] = mean;
        root[k] = size;
        int32_t own_m = bits_of(fabsf(mean)), own_v = bits_of(square);
        most_m = own_m > most_m ? own_m : most_m;
        most_v = own_v > most_v ? own_v : most_v;
    }
    *ms = number(most_m);
    *vs = number(most_v);
    const float to_m = 127 / sqrtf(larger(*ms, 1e-33f)), to_v = 255 / sqrtf(sqrtf(larger(*vs, 1e-33f)));
    for (int k = 0; k < count; k++) {
        float size = rintf(sqrtf(fabsf(first[k])) * to_m);
        m[k] = (int8_t)(int32_t)(first[k] < 0 ? -size : size);
        float code = sqrtf(root[k]) * to_v + (float)(mixed(~(noise + k)) >> 16) / 65536;
        code = larger(code, 1);
        v[k] = (uint8_t)(int32_t)(code < 255.99998f ? code : 255.99998f);
    }
}

/* Numbers from `at`, in fp32: where they lie, or in `own`. */
INLINE const float *widened(const void *given, int64_t at, int count, int is_wide, float *own)
{
    if (is_wide)
        return (const float *)given + at;
    for (int k = 0; k < count; k++)
        own[k] = number((int32_t)((uint32_t)((const uint16_t *)given)[at + k] << 16));
    return own;
}

INLINE void learn_blocks(int64_t count, int is_short, int16_t *w, char *r, int8_t *m, uint8_t *v, float *ms, float *vs,
                         const void *gradient, int is_wide, uint32_t noise, const struct hyper *h)
{
    float own[BLOCK];
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int here = count - at < BLOCK ? (int)(count - at) : BLOCK;
        const float *g = widened(gradient, at, here, is_wide, own);
#define BLOCK_OF(count)                                                                                                \
    learn_block(count, is_short, w + at, r + at * (is_short ? 1 : 2), m + at, v + at, ms + at / BLOCK,                \
                vs + at / BLOCK, g, noise + (uint32_t)at, *h)
        if (here == BLOCK)
            BLOCK_OF(BLOCK); /* a size that the compiler knows: no rest of a loop */
        else
            BLOCK_OF(here);
    }
}

/* Scheme I: the sum of a row's squares, each divided by `row` times its column's number where there is a `row`; several
 * sums side by side, since additions in a row wait for each other. Squares are added to `add` where it is given.
 */
INLINE double row_of(int64_t width, const void *gradient, int64_t start, int is_wide, float scale, float row,
                     const float *restrict columns, float *restrict add)
{
    float own[BLOCK], sums[SUMS] = {0};
    for (int64_t at = 0; at < width; at += BLOCK) {
        const int here = width - at < BLOCK ? (int)(width - at) : BLOCK;
        const float *g = widened(gradient, start + at, here, is_wide, own);
        float squares[BLOCK] = {0};
        for (int k = 0; k < here; k++) {
            squares[k] = g[k] * scale * (g[k] * scale);
            if (columns)
                squares[k] /= row * columns[at + k] + 1e-30f;
            if (add)
                add[at + k] += squares[k];
        }
        for (int k = 0; k < BLOCK; k += SUMS)
            for (int lane = 0; lane < SUMS; lane++)
                sums[lane] += squares[k + lane];
    }
    double sum = 0;
    for (int lane = 0; lane < SUMS; lane++)
        sum += sums[lane];
    return sum;
}

#define SQUARES_ARGUMENTS                                                                                              \
    int64_t rows, int64_t width, const void *gradient, int is_wide, float scale, float *of_rows, float *of_columns
#define SQUARES                                                                                                        \
    {                                                                                                                  \
        for (int64_t row = 0; row < rows; row++)                                                                       \
            of_rows[row] = (float)row_of(width, gradient, row * width, is_wide, scale, 0, 0, of_columns);              \
    }

#define MATRIX_ARGUMENTS                                                                                               \
    int64_t rows, int64_t width, int16_t *w, const float *of_rows, const float *of_columns, const void *gradient,      \
        int is_wide, uint32_t noise, const struct hyper *h
#define MATRIX                                                                                                         \
    {                                                                                                                  \
        double squares = 0;                                                                                            \
        for (int64_t row = 0; row < rows; row++)                                                                       \
            squares += row_of(width, gradient, row * width, is_wide, h->scale, of_rows[row], of_columns, 0);           \
        const float strength = (float)sqrt(squares / ((double)rows * width));                                          \
        for (int64_t row = 0; row < rows; row++)                                                                       \
            learn_row(width, w, of_rows[row], of_columns, gradient, row * width, is_wide, noise,                       \
                      h->rate / larger(strength, 1), *h);                                                              \
    }

INLINE void learn_row(int64_t width, int16_t *restrict w, float row, const float *restrict columns,
                      const void *gradient, int64_t start, int is_wide, uint32_t noise, float rate,
                      const struct hyper h)
{
    float own[BLOCK];
    for (int64_t at = 0; at < width; at += BLOCK) {
        const int here = width - at < BLOCK ? (int)(width - at) : BLOCK;
        const float *g = widened(gradient, start + at, here, is_wide, own);
        int16_t *bits = w + start + at;
        for (int k = 0; k < here; k++) {
            const float step = g[k] * h.scale / sqrtf(row * columns[at + k] + 1e-30f) * rate;
            const float p = number((int32_t)((uint32_t)bits[k] << 16)) * h.keep - step;
            const uint32_t drawn = mixed(noise + (uint32_t)(start + at) + (uint32_t)k) >> 16;
            bits[k] = (int16_t)((int32_t)((uint32_t)bits_of(p) + drawn) >> 16);
        }
    }
}

/* The same for several kinds of processor, chosen when it is called: one file serves all computers of a system. */
#define ARGUMENTS                                                                                                      \
    int64_t count, int scheme, int16_t *w, void *r, void *m, void *v, float *ms, float *vs, const void *gradient,      \
        int is_wide, uint32_t noise, const struct hyper *h
#define EXACT(is_short)                                                                                                \
    {                                                                                                                  \
        if (is_wide)                                                                                                   \
            learn_exactly(count, is_short, w, r, m, v, gradient, 1, noise, h);                                         \
        else                                                                                                           \
            learn_exactly(count, is_short, w, r, m, v, gradient, 0, noise, h);                                         \
    }
#define LEARN                                                                                                          \
    {                                                                                                                  \
        if (scheme == 'C')                                                                                             \
            EXACT(0)                                                                                                   \
        else if (scheme == 'D')                                                                                        \
            EXACT(1)                                                                                                   \
        else if (scheme == 'E')                                                                                        \
            learn_blocks(count, 0, w, r, m, v, ms, vs, gradient, is_wide, noise, h);                                   \
        else                                                                                                           \
            learn_blocks(count, 1, w, r, m, v, ms, vs, gradient, is_wide, noise, h);                                   \
    }

static void learn_anywhere(ARGUMENTS) LEARN
static void squares_anywhere(SQUARES_ARGUMENTS) SQUARES
static void matrix_anywhere(MATRIX_ARGUMENTS) MATRIX

#if defined(__GNUC__) && defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma"))) static void
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))) static void
AVX2 learn_avx2(ARGUMENTS) LEARN
AVX2 squares_avx2(SQUARES_ARGUMENTS) SQUARES
AVX2 matrix_avx2(MATRIX_ARGUMENTS) MATRIX
AVX512 learn_avx512(ARGUMENTS) LEARN
AVX512 squares_avx512(SQUARES_ARGUMENTS) SQUARES
AVX512 matrix_avx512(MATRIX_ARGUMENTS) MATRIX

static int kind(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 0;
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
}
#define OF_KIND(name) (kind() == 2 ? name##_avx512 : kind() == 1 ? name##_avx2 : name##_anywhere)
#else
#define OF_KIND(name) name##_anywhere
#endif

/* `r`, `m`, `v`: of the scheme's types; `ms`, `vs` only for E and F. `gradient`: fp32 where `is_wide`, else bf16. */
EXPORT void tunesmith_learn(ARGUMENTS)
{
    OF_KIND(learn)(count, scheme, w, r, m, v, ms, vs, gradient, is_wide, mixed(noise), h);
}

/* Sums of a gradient's squares by row, and by column, added to what is there. */
EXPORT void tunesmith_squares(SQUARES_ARGUMENTS)
{
    OF_KIND(squares)(rows, width, gradient, is_wide, scale, of_rows, of_columns);
}

/* One step of scheme I for a matrix; of `h` only `scale`, `keep` and `rate` count. */
EXPORT void tunesmith_learn_matrix(MATRIX_ARGUMENTS)
{
    OF_KIND(matrix)(rows, width, w, of_rows, of_columns, gradient, is_wide, mixed(noise), h);
}

/* Whether products and sums are rounded once here, without which C and D are not what torch does, and slow. */
EXPORT int tunesmith_fuses(void)
{
#if defined(__GNUC__) && defined(__x86_64__)
    return kind() > 0;
#elif defined(__aarch64__) || defined(_M_ARM64)
    return 1;
#else
    return 0;
#endif
}

EXPORT int tunesmith_version(void) { return VERSION; }

/* Windows links no extension of Python's without it; this one is never imported. */
EXPORT void *PyInit__fused_update(void) { return 0; }
