# tree-sitter's runtime and the grammars of the languages that `pie eval build` reads, as one static library. The
# sources are those that scripts/fetch_grammars.sh puts into the cache; nothing of upstream is patched.
#
# Defines: pie_tree_sitter (the runtime's header as SYSTEM). Wants PIE_CACHE_DIR.

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/tree_sitter_versions.txt requirements REGEX "^tree-sitter")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/tree_sitter_versions.txt)
set(headers ${PROJECT_BINARY_DIR}/tree_sitter_headers)
add_library(pie_tree_sitter STATIC)
set_target_properties(pie_tree_sitter PROPERTIES UNITY_BUILD OFF)
foreach(requirement IN LISTS requirements)
    string(REGEX REPLACE "^([^=]+)==([^ ]+) .*" "\\1-\\2" package ${requirement})
    set(place ${PIE_CACHE_DIR}/src/${package})
    if(NOT EXISTS ${place})
        message(FATAL_ERROR "No sources of ${package} in ${place}. Run 'make setup'.")
    endif()
    if(package MATCHES "^tree-sitter-[0-9]")
        set(runtime ${place}/tree_sitter/core/lib)
        target_sources(pie_tree_sitter PRIVATE ${runtime}/src/lib.c)
        target_include_directories(pie_tree_sitter SYSTEM PUBLIC ${runtime}/include)
        target_include_directories(pie_tree_sitter PRIVATE ${runtime}/src ${headers})
        # Grammars include these from a folder of this name, and do not bring them along.
        foreach(header alloc.h array.h parser.h ts_assert.h)
            file(COPY ${runtime}/src/${header} DESTINATION ${headers}/tree_sitter)
        endforeach()
    else()
        file(GLOB grammar_sources ${place}/src/*.c)
        target_sources(pie_tree_sitter PRIVATE ${grammar_sources})
    endif()
endforeach()
# Upstream's warnings are not ours to mend. Each build folder compiles tables of 30 MB, which more optimisation would
# make no better, only later.
target_compile_options(pie_tree_sitter PRIVATE -w -O1)
