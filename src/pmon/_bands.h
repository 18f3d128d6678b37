/* Eight filters side by side. A filter's next sample waits for the one before; eight that wait
 * together, in the lanes of a vector, cost no more than one. Cython knows no vectors.
 */
#ifndef PMON_BANDS_H
#define PMON_BANDS_H

#include <stdint.h>
#include <string.h>

#define BANDS 8
#define BANDS_CHUNK 64 /* so many samples are averaged before they are filtered */
#define BANDS_Q 4.0

/* Centres in Hz, some two thirds of an octave apart: where the first three formants are. */
static const double BANDS_HZ[BANDS] = {150, 260, 430, 700, 1100, 1750, 2700, 4200};

/* Half of the bands: what one register of SSE or NEON holds. */
typedef float bands_v __attribute__((vector_size(2 * BANDS)));

typedef struct {
    bands_v s1, s2, energy, gain, a1, a2;
} bands_half_t;

static inline bands_v bands_load(const float *from)
{
    bands_v to;
    memcpy(&to, from, sizeof to);
    return to;
}

/* One sample: y = gain (x - x2) - a1 y1 - a2 y2 in transposed direct form II, which has the shortest
 * way from one sample to the next. Its states stand here with the other sign, which saves turning
 * them round. */
static inline void bands_step(bands_half_t *half, float x)
{
    bands_v in = half->gain * x;
    bands_v y = in - half->s1;
    half->s1 = half->s2 + half->a1 * y;
    half->s2 = in + half->a2 * y;
    half->energy += y * y;
}

/* Adds the squares of y to energy; s1 and s2 are what the filters remember. */
static inline void bands_filter(float s1[BANDS], float s2[BANDS], float energy[BANDS],
                                const float gain[BANDS], const float a1[BANDS],
                                const float a2[BANDS], const float *x, int n)
{
    bands_half_t half[2];
    for (int i = 0; i < 2; i++) {
        int at = i * BANDS / 2;
        half[i] = (bands_half_t){bands_load(s1 + at),   bands_load(s2 + at),
                                 bands_load(energy + at), bands_load(gain + at),
                                 bands_load(a1 + at),   bands_load(a2 + at)};
    }
    for (int i = 0; i < n; i++) {
        bands_step(&half[0], x[i]);
        bands_step(&half[1], x[i]);
    }
    for (int i = 0; i < 2; i++) {
        int at = i * BANDS / 2;
        memcpy(s1 + at, &half[i].s1, sizeof half[i].s1);
        memcpy(s2 + at, &half[i].s2, sizeof half[i].s2);
        memcpy(energy + at, &half[i].energy, sizeof half[i].energy);
    }
}

/* Means of ``n`` groups of samples that are ``step`` apart; at most BANDS_CHUNK. */
static inline void bands_average(float *mean, int n, const int16_t *samples, int step, int factor)
{
    const float scale = 1.0f / (float)factor;
    int32_t sums[BANDS_CHUNK];
    if (step == 1 && factor == 3) /* 48 kHz mono, by far the most: without a loop in the loop */
        for (int i = 0; i < n; i++)
            sums[i] = samples[3 * i] + samples[3 * i + 1] + samples[3 * i + 2];
    else
        for (int i = 0; i < n; i++) {
            sums[i] = 0;
            for (int j = 0; j < factor; j++)
                sums[i] += samples[(i * factor + j) * step];
        }
    for (int i = 0; i < n; i++) /* apart, since four are made floats at once */
        mean[i] = (float)sums[i] * scale;
}

#endif
