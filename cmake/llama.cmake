# ggml and libllama, built once per machine, option set and compiler into the user's cache, and shared by every
# build folder and clone. The sources are the pinned ones that scripts/fetch_llama.sh puts into the cache, or any
# other llama.cpp checkout named by PIE_LLAMA_DIR. Nothing of upstream is patched.
#
# The place is locked while it is filled, and `built` is made last: an interrupted build goes on where it was, and
# two builds at once make it once.
#
# Defines: pie_llama (INTERFACE; ggml, ggml-cpu and libllama, headers as SYSTEM), PIE_LLAMA_DIR, PIE_CACHE_DIR.

if(IS_ABSOLUTE "$ENV{XDG_CACHE_HOME}")
    set(PIE_CACHE_DIR $ENV{XDG_CACHE_HOME}/pie)
else()
    set(PIE_CACHE_DIR $ENV{HOME}/.cache/pie)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/llama_version.cmake)
set(PIE_LLAMA_DIR "" CACHE PATH "A llama.cpp source tree; empty: the pinned one, in the cache")
if(NOT PIE_LLAMA_DIR)
    # Not cached, so that an old build folder follows a change of the pinned version.
    set(PIE_LLAMA_DIR ${PIE_CACHE_DIR}/src/${PIE_LLAMA_PACKAGE}-${PIE_LLAMA_VERSION}/vendor/llama.cpp)
endif()
if(NOT EXISTS ${PIE_LLAMA_DIR}/include/llama.h)
    message(FATAL_ERROR "No llama.cpp sources in ${PIE_LLAMA_DIR}. Run 'make setup', or set PIE_LLAMA_DIR.")
endif()
set(PIE_LLAMA_OPTIONS "" CACHE STRING "More options for llama.cpp's build, such as -DGGML_CUDA=ON")

# GGML_OPENMP is off because the thread pool must be ours: it persists between graphs and can be cancelled.
set(llama_options
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF
    -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
    -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DGGML_OPENMP=OFF ${PIE_LLAMA_OPTIONS})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(JOIN PIE_LLAMA_GCC_FLAGS " " gcc_flags)
    list(APPEND llama_options "-DCMAKE_CXX_FLAGS=${gcc_flags}")
endif()
if(PIE_SANITIZE STREQUAL "thread")
    # An uninstrumented thread pool would look like a race to ThreadSanitizer.
    list(APPEND llama_options -DLLAMA_SANITIZE_THREAD=ON)
endif()

# ggml is compiled for this machine's processor, so the key holds its feature list too.
set(cpu_flags "")
if(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo cpu_flags REGEX "^(flags|Features)" LIMIT_COUNT 1)
endif()
string(SHA256 llama_key
    "${PIE_LLAMA_DIR};${llama_options};${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION};${cpu_flags}")
string(SUBSTRING ${llama_key} 0 12 llama_key)
set(llama_prefix ${PIE_CACHE_DIR}/llama/${PIE_LLAMA_VERSION}-${llama_key})

if(NOT EXISTS ${llama_prefix}/built)
    file(MAKE_DIRECTORY ${llama_prefix})
    file(LOCK ${llama_prefix}/lock TIMEOUT 0 RESULT_VARIABLE llama_lock)
    if(llama_lock)
        message(STATUS "Waiting for another build to finish ggml and libllama in ${llama_prefix}")
        file(LOCK ${llama_prefix}/lock TIMEOUT 3600)
    endif()
endif()
if(NOT EXISTS ${llama_prefix}/built)
    message(STATUS "Building ggml and libllama into ${llama_prefix} (once, some minutes)")
    # Upstream's warnings are not ours to mend; without them our own can be seen.
    execute_process(
        COMMAND ${CMAKE_COMMAND} -S ${PIE_LLAMA_DIR} -B ${llama_prefix}/build -G Ninja
            -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
            -DCMAKE_INSTALL_PREFIX=${llama_prefix} -DCMAKE_INSTALL_LIBDIR=lib
            -DLLAMA_ALL_WARNINGS=OFF -DGGML_ALL_WARNINGS=OFF ${llama_options}
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${CMAKE_COMMAND} --build ${llama_prefix}/build COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${CMAKE_COMMAND} --install ${llama_prefix}/build
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE_RECURSE ${llama_prefix}/build)
    file(TOUCH ${llama_prefix}/built)
endif()
if(DEFINED llama_lock)
    file(LOCK ${llama_prefix}/lock RELEASE)
endif()

set(ggml_ROOT ${llama_prefix})
set(llama_ROOT ${llama_prefix})
find_package(llama CONFIG REQUIRED NO_CMAKE_FIND_ROOT_PATH PATHS ${llama_prefix}/lib/cmake NO_DEFAULT_PATH)
add_library(pie_llama INTERFACE)
target_link_libraries(pie_llama INTERFACE llama ggml::ggml)
target_include_directories(pie_llama SYSTEM INTERFACE ${llama_prefix}/include)
