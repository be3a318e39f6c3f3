# Writes commit.cpp for the state of the repository at each build; an unchanged one is not compiled again.
cmake_minimum_required(VERSION 3.25)
execute_process(
    COMMAND git describe --always --dirty --exclude=*
    WORKING_DIRECTORY ${SOURCE}
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"#include \"bench/commit.h\"

namespace pie {

std::string_view built_commit() {
    return \"@commit@\";
}

} // namespace pie
")
