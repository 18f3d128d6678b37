/* Eight filters side by side. A filter's next sample waits for the one before; eight that wait
 * together, in the lanes of a vector, cost no more than one. Cython knows no vectors.
 */
#ifndef PMON_BANDS_H
#define PMON_BANDS_H

#include <string.h>

#define BANDS 8

/* GCC and Clang make of it what the machine has: two registers of SSE or NEON, or one of AVX. */
typedef float bands_v __attribute__((vector_size(4 * BANDS)));

/* y = gain (x - x2) - a1 y1 - a2 y2 in transposed direct form II, which has the shortest way from one
 * sample to the next. Adds the squares of y to energy; s1 and s2 are what the filters remember. */
static inline void bands_filter(float s1[BANDS], float s2[BANDS], float energy[BANDS],
                                const float gain[BANDS], const float a1[BANDS],
                                const float a2[BANDS], const float *x, int n)
{
    bands_v state1, state2, sum, g, c1, c2;
    memcpy(&state1, s1, sizeof state1);
    memcpy(&state2, s2, sizeof state2);
    memcpy(&sum, energy, sizeof sum);
    memcpy(&g, gain, sizeof g);
    memcpy(&c1, a1, sizeof c1);
    memcpy(&c2, a2, sizeof c2);
    for (int i = 0; i < n; i++) {
        bands_v in = g * x[i];
        bands_v y = in + state1;
        state1 = state2 - c1 * y;
        state2 = -in - c2 * y;
        sum += y * y;
    }
    memcpy(s1, &state1, sizeof state1);
    memcpy(s2, &state2, sizeof state2);
    memcpy(energy, &sum, sizeof sum);
}

#endif
