#pragma once

// The built program as its tests see it: run with arguments in an environment of its own, where no model is
// pulled and no hub answers.
//
// Thread rule: the test's thread.

#include "base/files.h"
#include "base/test_fixtures.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace pie {

struct Ended {
    int status;
    std::string out;
    std::string err;
};

struct Program {
    ScratchFolder scratch;
    std::filesystem::path out = scratch.path / "out";
    int out_descriptor = -1; // where it is one, standard output goes there
    EnvironmentVariable cache{"XDG_CACHE_HOME", scratch.path.c_str()};
    EnvironmentVariable hub{"HF_ENDPOINT", "http://127.0.0.1:1"};

    Ended run(const std::vector<std::string>& words, const std::function<void(pid_t)>& meanwhile = {}) {
        return run_program(PIE_PROGRAM, words, meanwhile);
    }

    Ended run_program(const char* program, std::vector<std::string> words,
                      const std::function<void(pid_t)>& meanwhile = {}) {
        const std::filesystem::path err = scratch.path / "err";
        words.insert(words.begin(), program);
        std::vector<char*> arguments;
        for (std::string& word : words) {
            arguments.push_back(word.data());
        }
        arguments.push_back(nullptr);
        const pid_t child = fork();
        if (child == 0) {
            dup2(out_descriptor >= 0 ? out_descriptor : open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
                 STDOUT_FILENO);
            dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
            execv(program, arguments.data());
            _exit(99);
        }
        if (meanwhile) {
            meanwhile(child);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        return {WEXITSTATUS(status), read_file(out, 1 << 20).value_or(""), read_file(err, 1 << 20).value()};
    }
};

inline bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

} // namespace pie
