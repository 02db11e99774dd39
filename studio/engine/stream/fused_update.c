/* One AdamW step of schemes E and F (schemes.py says what they keep), each number read and written once.
 *
 * torch makes thirty passes of it. Square roots are shared: what the step divides by is sqrt(v), and the second memory
 * keeps fourth roots. Built by setup (pyproject.toml) where there is a C compiler, and called through ctypes.
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

enum { VERSION = 1, BLOCK = 256 };

struct hyper {
    float scale;   /* what gradients are multiplied with */
    float keep;    /* what weight decay leaves */
    float rate;    /* with the first memory's correction in it */
    float new1;    /* the gradient's share of the first memory */
    float old2, new2;
    float root;    /* the second memory's correction, a factor of its square root */
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

/* Numbers that share scales, as many as there are of them (all but for the last of a matrix). */
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

INLINE void learn_blocks(int64_t count, int is_short, int16_t *w, char *r, int8_t *m, uint8_t *v, float *ms, float *vs,
                         const void *gradient, int is_wide, uint32_t noise, const struct hyper *h)
{
    float own[BLOCK];
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int here = count - at < BLOCK ? (int)(count - at) : BLOCK;
        const float *g = (const float *)gradient + at;
        if (!is_wide) {
            for (int k = 0; k < here; k++)
                own[k] = number((int32_t)((uint32_t)((const uint16_t *)gradient)[at + k] << 16));
            g = own;
        }
#define BLOCK_OF(count)                                                                                                \
    learn_block(count, is_short, w + at, r + at * (is_short ? 1 : 2), m + at, v + at, ms + at / BLOCK,                \
                vs + at / BLOCK, g, noise + (uint32_t)at, *h)
        if (here == BLOCK)
            BLOCK_OF(BLOCK); /* a size that the compiler knows: no rest of a loop */
        else
            BLOCK_OF(here);
    }
}

/* The same for several kinds of processor, chosen when it is called: one file serves all computers of a system. */
#define ARGUMENTS                                                                                                      \
    int64_t count, int is_short, int16_t *w, char *r, int8_t *m, uint8_t *v, float *ms, float *vs,                     \
        const void *gradient, int is_wide, uint32_t noise, const struct hyper *h
#define LEARN                                                                                                          \
    {                                                                                                                  \
        if (is_short)                                                                                                  \
            learn_blocks(count, 1, w, r, m, v, ms, vs, gradient, is_wide, noise, h);                                   \
        else                                                                                                           \
            learn_blocks(count, 0, w, r, m, v, ms, vs, gradient, is_wide, noise, h);                                   \
    }

static void learn_anywhere(ARGUMENTS) LEARN

#if defined(__GNUC__) && defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void learn_avx2(ARGUMENTS) LEARN
__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))) static void learn_avx512(ARGUMENTS) LEARN
#endif

/* `r`: 16-bit numbers, 8-bit ones where `is_short`. `gradient`: fp32 where `is_wide`, else bf16. */
EXPORT void tunesmith_learn(ARGUMENTS)
{
    void (*learn)(ARGUMENTS) = learn_anywhere;
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        learn = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl")
                    ? learn_avx512
                    : learn_avx2;
#endif
    learn(count, is_short, w, r, m, v, ms, vs, gradient, is_wide, mixed(noise), h);
}

EXPORT int tunesmith_version(void) { return VERSION; }

/* Windows links no extension of Python's without it; this one is never imported. */
EXPORT void *PyInit__fused_update(void) { return 0; }
