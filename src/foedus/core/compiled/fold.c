/* The weighted mean of float32 values: what foedus.core.folding does with NumPy, to the same bits, in one pass.
 *
 * NumPy reads a block once to widen it, once more to multiply it, and once more to add it. Here four updates are widened,
 * multiplied and added in registers before a sum goes back to its cache. Every element is computed by the same operations
 * of IEEE 754 in the same order, none fused with another (-ffp-contract=off): so neither the width of vectors nor the
 * compiler nor the size of a tile can change a bit.
 *
 * No Python and no state: any number of threads may call it.
 */
#include <errno.h>
#include <float.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#if FLT_EVAL_METHOD != 0
#error "intermediate results would be wider than what NumPy rounds to"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files hold little-endian values"
#endif

#define TILE 8192 /* elements; their sums (64 KiB) and four updates (128 KiB) stay in a cache of the second level */
#define GROUP 4

#define EXPORTED __attribute__((visibility("default")))
#define INLINED static inline __attribute__((always_inline))

typedef float loose __attribute__((aligned(1), may_alias)); /* values in files, also mapped ones, begin where they like */

INLINED void begin(double *restrict sums, const loose *a, double p, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] = p * (double)a[i]; /* not 0.0 + ...: keeps the sign of -0.0 */
}

INLINED void add(double *restrict sums, const loose *a, double p, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] = sums[i] + p * (double)a[i];
}

INLINED void add_group(double *restrict sums, const loose *const *x, const double *w, int64_t n) {
    const loose *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    const double p = w[0], q = w[1], r = w[2], s = w[3];
    for (int64_t i = 0; i < n; i++)
        sums[i] = (((sums[i] + p * (double)a[i]) + q * (double)b[i]) + r * (double)c[i]) + s * (double)d[i];
}

INLINED void begin_group(double *restrict sums, const loose *const *x, const double *w, int64_t n) {
    const loose *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    const double p = w[0], q = w[1], r = w[2], s = w[3];
    for (int64_t i = 0; i < n; i++)
        sums[i] = ((p * (double)a[i] + q * (double)b[i]) + r * (double)c[i]) + s * (double)d[i];
}

INLINED void add_rows(double *restrict sums, const loose *const *x, const double *w, int count, int64_t n, int first) {
    if (count == GROUP) {
        if (first) begin_group(sums, x, w, n);
        else add_group(sums, x, w, n);
        return;
    }
    for (int k = 0; k < count; k++) {
        if (first && k == 0) begin(sums, x[k], w[k], n);
        else add(sums, x[k], w[k], n);
    }
}

/* Whether anything came out that is not finite, which is the only trace that an overflow leaves. */
INLINED int finish(loose *restrict out, const double *sums, double divisor, int64_t n) {
    int odd = 0;
    for (int64_t i = 0; i < n; i++) {
        const float mean = (float)(sums[i] / divisor);
        odd |= mean - mean != 0.0f;
        out[i] = mean;
    }
    return odd;
}

INLINED int finish_from(loose *restrict out, const double *sums, double divisor, const loose *base, double sign, int64_t n) {
    int odd = 0;
    for (int64_t i = 0; i < n; i++) {
        const float mean = (float)(sums[i] / divisor + sign * (double)base[i]);
        odd |= mean - mean != 0.0f;
        out[i] = mean;
    }
    return odd;
}

struct loops {
    void (*add_rows)(double *, const loose *const *, const double *, int, int64_t, int);
    int (*finish)(loose *, const double *, double, int64_t);
    int (*finish_from)(loose *, const double *, double, const loose *, double, int64_t);
};

#define LOOPS(name, target)                                                                                            \
    target static void add_rows_##name(double *s, const loose *const *x, const double *w, int c, int64_t n, int f) {   \
        add_rows(s, x, w, c, n, f);                                                                                    \
    }                                                                                                                  \
    target static int finish_##name(loose *o, const double *s, double d, int64_t n) { return finish(o, s, d, n); }     \
    target static int finish_from_##name(loose *o, const double *s, double d, const loose *b, double g, int64_t n) {   \
        return finish_from(o, s, d, b, g, n);                                                                          \
    }                                                                                                                  \
    static const struct loops loops_##name = {add_rows_##name, finish_##name, finish_from_##name};

LOOPS(plain, )
#if defined(__x86_64__)
LOOPS(avx2, __attribute__((target("avx2"))))
#endif

static const struct loops *fitting(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return &loops_avx2;
#endif
    return &loops_plain;
}

static int read_fully(int file, char *into, int64_t bytes, int64_t at) {
    while (bytes > 0) {
        ssize_t n = pread(file, into, (size_t)bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        into += n;
        at += n;
        bytes -= n;
    }
    return 0;
}

/* Which arguments and results this library has; foedus.core.compiled.library knows the same number. */
EXPORTED int foedus_fold_version(void) { return 1; }

EXPORTED const char *foedus_fold_vectors(void) { return fitting() == &loops_plain ? "plain" : "avx2"; }

/* Fold some updates (rows) into the sums of some pieces of tensors, and the sums, when these are the last, into means.
 *
 * sizes    [pieces] elements
 * outs     [pieces] where the means go
 * bases    [pieces] or NULL: what `sign` times is added to the means before they are rounded
 * places   [pieces][rows] addresses of values, or places in the files of those rows that have one
 * files    [rows] descriptors; -1 for a row in memory
 * sums     float64: of all elements where rows come in several calls, else TILE of them
 * memory   GROUP * TILE float32, for what is read
 *
 * 0 when all is well; 1 when a mean is not finite, 2 when a file could not be read: the caller does it in a slower way,
 * which says what is wrong.
 */
EXPORTED int foedus_fold(int64_t pieces, const int64_t *sizes, loose *const *outs, const loose *const *bases, double sign,
                         int64_t rows, const int64_t *places, const int32_t *files, const double *weights, int first,
                         int last, double divisor, double *sums, float *memory) {
    const struct loops *loops = fitting();
    int odd = 0;
    for (int64_t p = 0; p < pieces; p++) {
        for (int64_t at = 0; at < sizes[p]; at += TILE) {
            const int64_t n = sizes[p] - at < TILE ? sizes[p] - at : TILE;
            for (int64_t r = 0; r < rows; r += GROUP) {
                const int count = rows - r < GROUP ? (int)(rows - r) : GROUP;
                const loose *x[GROUP];
                for (int k = 0; k < count; k++) {
                    const int64_t place = places[p * rows + r + k] + at * (int64_t)sizeof(float);
                    x[k] = files[r + k] < 0 ? (const loose *)(intptr_t)place : memory + k * TILE;
                    if (files[r + k] >= 0 &&
                        read_fully(files[r + k], (char *)(memory + k * TILE), n * (int64_t)sizeof(float), place))
                        return 2;
                }
                loops->add_rows(sums, x, weights + r, count, n, first && r == 0);
            }
            if (last) {
                odd |= bases ? loops->finish_from(outs[p] + at, sums, divisor, bases[p] + at, sign, n)
                             : loops->finish(outs[p] + at, sums, divisor, n);
            }
            if (!(first && last)) sums += n;
        }
    }
    return odd;
}
