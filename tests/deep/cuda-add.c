/* cuda-add.c - a CUDA program that needs the driver alone: it adds two vectors with a kernel that the driver
 * compiles, and says on what and whether the sum is right. Declared here after cuda.h (stable since 4.0). */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 20, BLOCK = 256 };

static const char kernel[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
                             ".visible .entry add(.param .u64 a, .param .u64 b)\n"
                             "{\n"
                             ".reg .b32 %r<4>; .reg .b64 %d<4>; .reg .f32 %f<3>;\n"
                             "mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x;\n"
                             "mad.lo.s32 %r3, %r0, %r1, %r2; mul.wide.u32 %d0, %r3, 4;\n"
                             "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b];\n"
                             "add.u64 %d1, %d1, %d0; add.u64 %d2, %d2, %d0;\n"
                             "ld.global.f32 %f0, [%d1]; ld.global.f32 %f1, [%d2];\n"
                             "add.f32 %f2, %f0, %f1; st.global.f32 [%d1], %f2; ret;\n"
                             "}\n";

static void *library;

static void *symbol(const char *name)
{
    void *found = dlsym(library, name);

    if (!found) {
        (void) fprintf(stderr, "cuda-add: %s\n", dlerror());
        exit(1);
    }
    return found;
}

/* Calls the driver; ends the program when it refuses. */
#define CALL(name_, types_, ...)                                                                   \
    do {                                                                                           \
        int(*call) types_;                                                                         \
        void *found = symbol(name_);                                                               \
        memcpy(&call, &found, sizeof call);                                                        \
        int code = call(__VA_ARGS__);                                                              \
        if (code) {                                                                                \
            (void) fprintf(stderr, "cuda-add: %s gives %d\n", name_, code);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int main(void)
{
    static float a[N], b[N];
    unsigned long long at_a = 0, at_b = 0;
    void *context = NULL, *module = NULL, *function = NULL;
    char name[100] = "";
    int count = 0, wrong = 0;

    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        (void) fprintf(stderr, "cuda-add: %s\n", dlerror());
        return 1;
    }
    for (int i = 0; i < N; i++) {
        a[i] = (float) i;
        b[i] = (float) (2 * i);
    }
    CALL("cuInit", (unsigned), 0);
    CALL("cuDeviceGetCount", (int *), &count);
    CALL("cuDeviceGetName", (char *, int, int), name, sizeof name, 0);
    CALL("cuCtxCreate_v2", (void **, unsigned, int), &context, 0, 0);
    CALL("cuModuleLoadData", (void **, const void *), &module, kernel);
    CALL("cuModuleGetFunction", (void **, void *, const char *), &function, module, "add");
    CALL("cuMemAlloc_v2", (unsigned long long *, size_t), &at_a, sizeof a);
    CALL("cuMemAlloc_v2", (unsigned long long *, size_t), &at_b, sizeof b);
    CALL("cuMemcpyHtoD_v2", (unsigned long long, const void *, size_t), at_a, a, sizeof a);
    CALL("cuMemcpyHtoD_v2", (unsigned long long, const void *, size_t), at_b, b, sizeof b);
    void *arguments[] = { &at_a, &at_b };
    CALL("cuLaunchKernel",
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
          void **, void **),
         function, N / BLOCK, 1, 1, BLOCK, 1, 1, 0, NULL, arguments, NULL);
    CALL("cuMemcpyDtoH_v2", (void *, unsigned long long, size_t), a, at_a, sizeof a);
    for (int i = 0; i < N; i++)
        wrong += a[i] < (float) (3.0 * i) || a[i] > (float) (3.0 * i);
    return printf("%s: %d sums, %d wrong\n", name, N, wrong) < 0 || wrong > 0;
}
