#include "cli/command_line.h"
#include "commands/lab_program.h"

int main(int argc, char** argv) {
    return pie::run_program(pie::make_lab_program, argc, argv);
}
