# Two INTERFACE targets carry every setting of our own code; upstream code never sees them.

option(PIE_FUZZ "Build the libFuzzer targets, and nothing else (clang)" OFF)
option(PIE_DEV "Warnings are errors, and containers check their invariants after each change" OFF)
option(PIE_LAB "Build the lab too: pie-lab, which measures" OFF)
set(PIE_SANITIZE "" CACHE STRING "Sanitizers for our own code: 'address,undefined' or 'thread'")

add_library(pie_options INTERFACE)
target_compile_features(pie_options INTERFACE cxx_std_20)
target_include_directories(pie_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(pie_options INTERFACE $<$<BOOL:${PIE_DEV}>:PIE_DEV=1>)
if(PIE_SANITIZE)
    # Instrumented, <regex> looks uninitialised to GCC 12.
    target_compile_options(pie_options INTERFACE
        -fsanitize=${PIE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(pie_options INTERFACE -fsanitize=${PIE_SANITIZE})
endif()

add_library(pie_warnings INTERFACE)
target_compile_options(pie_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough
    # Where sources are compiled together, names of one file are no shadows of another's.
    $<$<NOT:$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wshadow>
    # GCC 12 sees overlaps in std::string that are not there (its bug 105651).
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
    $<$<BOOL:${PIE_DEV}>:-Werror>)

# pie_simd_sources(FILE…): sources that Highway compiles once for each instruction set. Under a sanitizer they are
# compiled for this machine's alone: the code is the same, and instrumented it takes a minute a file.
function(pie_simd_sources)
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    if(PIE_SANITIZE)
        set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-march=native;-DHWY_COMPILE_ONLY_STATIC;-Wno-unused-function")
    endif()
endfunction()

# pie_room(NAME SOURCES… [USES rooms and libraries…]): one static library a room, which is the folder of src/ or lab/
# that calls it.
# Public headers of what a room uses come along; see tests/layers_test.py for who may use whom.
function(pie_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
    add_library(pie_${name} STATIC ${ROOM_SOURCES})
    list(TRANSFORM ROOM_USES PREPEND pie_)
    target_link_libraries(pie_${name} PUBLIC pie_options ${ROOM_USES} PRIVATE pie_warnings ${ROOM_LIBRARIES})
endfunction()

# pie_test(NAME SOURCES… USES rooms… LIBRARIES… DEFINITIONS… LABELS… [RUNS_PIE] [RUNS_LAB] [ALONE] [THREADS]): one ctest entry, of the test cases
# that these sources hold. All tests of a folder are one doctest program, so that what they use is linked once.
# RUNS_PIE: the tests start the program, whose path is PIE_PROGRAM; RUNS_LAB: also pie-lab, PIE_LAB_PROGRAM. ALONE: they share names with other sources, and are
# compiled by themselves where the others are compiled together. THREADS: they compute on several threads, which wait
# for each other in loops, and are slow beside another test.
function(pie_test name)
    cmake_parse_arguments(TEST "RUNS_PIE;RUNS_LAB;ALONE;THREADS" "" "SOURCES;USES;LIBRARIES;DEFINITIONS;LABELS" ${ARGN})
    if(NOT TARGET pie_doctest_main)
        add_library(pie_doctest_main OBJECT ${PROJECT_SOURCE_DIR}/tests/doctest_main.cpp)
        target_link_libraries(pie_doctest_main PRIVATE pie_options pie_warnings)
    endif()
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
    set(program ${folder}_tests)
    if(NOT TARGET ${program})
        add_executable(${program})
        target_link_libraries(${program} PRIVATE pie_doctest_main pie_warnings)
    endif()
    target_sources(${program} PRIVATE ${TEST_SOURCES})
    list(TRANSFORM TEST_USES PREPEND pie_)
    target_link_libraries(${program} PRIVATE ${TEST_USES} ${TEST_LIBRARIES})
    target_compile_definitions(${program} PRIVATE ${TEST_DEFINITIONS})
    if(TEST_RUNS_PIE OR TEST_RUNS_LAB)
        target_compile_definitions(${program} PRIVATE PIE_PROGRAM="$<TARGET_FILE:pie>")
        add_dependencies(${program} pie)
    endif()
    if(TEST_RUNS_LAB)
        target_compile_definitions(${program} PRIVATE PIE_LAB_PROGRAM="$<TARGET_FILE:pie-lab>")
        add_dependencies(${program} pie-lab)
    endif()
    if(TEST_ALONE)
        set_source_files_properties(${TEST_SOURCES} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    list(TRANSFORM TEST_SOURCES PREPEND */)
    list(JOIN TEST_SOURCES "," files)
    add_test(NAME ${name} COMMAND ${program} --source-file=${files})
    # The folder is a label too: ctest -L room:cache.
    list(APPEND TEST_LABELS room:${folder})
    set(lab ${PROJECT_SOURCE_DIR}/lab)
    cmake_path(IS_PREFIX lab ${CMAKE_CURRENT_SOURCE_DIR} is_of_lab)
    if(is_of_lab)
        list(APPEND TEST_LABELS lab)
    endif()
    set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT 600)
    if(TEST_THREADS)
        set_tests_properties(${name} PROPERTIES PROCESSORS 2)
    endif()
    if("model" IN_LIST TEST_LABELS OR "load" IN_LIST TEST_LABELS)
        set_tests_properties(${name} PROPERTIES RUN_SERIAL ON) # they take all of the processor
    endif()
endfunction()
