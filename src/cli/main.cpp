#include "cli/command_line.h"
#include "cli/program.h"

int main(int argc, char** argv) {
    return pie::run_program(pie::make_program, argc, argv);
}
