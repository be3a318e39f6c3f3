# The one place that names the pinned llama.cpp: version 0.5.0 with ggml 0.25.3, as carried by this package.
set(PIE_LLAMA_PACKAGE llama-cpp-python)
set(PIE_LLAMA_VERSION 0.3.36)
set(PIE_LLAMA_SHA256 832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e)

# GCC takes the stores that configure AMX's tiles for dead ones, because its _tile_loadconfig says that it reads
# eight bytes of them; the first product of tiles then ends the program (llama.cpp's pull request 26954).
set(PIE_LLAMA_GCC_FLAGS -fno-dse -fno-tree-dse)
