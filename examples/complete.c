/* Completes a file at its end: complete MODEL.gguf FILE
 * Built with: cc -o complete complete.c $(pkg-config --cflags --libs pie) -Wl,-rpath,$(pkg-config --variable=libdir pie)
 * Where pie is in a folder of its own, PKG_CONFIG_PATH=PREFIX/lib/pkgconfig (or PREFIX/lib/ARCHITECTURE/pkgconfig) lets
 * pkg-config find it. */

#include <pie/pie.h>

#include <stdio.h>
#include <stdlib.h>

static bool print(const char* text, size_t n_bytes, void* user) {
    (void)user;
    return fwrite(text, 1, n_bytes, stdout) == n_bytes;
}

int main(int argc, char** argv) {
    static char text[100000];
    FILE* file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: complete MODEL.gguf FILE\n");
        return 2;
    }
    const size_t n_bytes = fread(text, 1, sizeof text, file);
    fclose(file);

    pie_model* model = NULL;
    pie_session* session = NULL;
    pie_completion_options options = pie_completion_options_default();
    options.n_predict = 24;
    const bool completed = pie_model_load(argv[1], NULL, &model) == PIE_OK &&
                           pie_session_open(model, argv[2], &session) == PIE_OK &&
                           pie_session_set_text(session, text, n_bytes, n_bytes) == PIE_OK &&
                           pie_session_complete(session, &options, print, NULL, NULL) == PIE_OK;
    if (completed) {
        printf("\n");
    } else {
        fprintf(stderr, "%s\n", pie_last_error());
    }
    pie_session_free(session);
    pie_model_free(model);
    return completed ? EXIT_SUCCESS : EXIT_FAILURE;
}
