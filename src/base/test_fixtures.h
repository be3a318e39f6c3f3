#pragma once

// What tests of several rooms need around them: a folder that goes away, a disk that is full, a variable of
// the environment. Tests only; a fixture belongs to the test's thread, and puts back what it changed.

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace pie {

struct ScratchFolder {
    std::filesystem::path path;

    ScratchFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "pie-test-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
};

// No file can grow beyond this: what a disk that fills up in the middle of a file looks like to its writer.
struct FileSizeLimit {
    rlimit before{};

    explicit FileSizeLimit(rlim_t size_bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before);
        const rlimit limit = {size_bytes, before.rlim_max};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
};

// How much a test does, or from which seed.
inline unsigned number_from_environment(const char* variable, unsigned otherwise) {
    const char* value = std::getenv(variable);
    return value == nullptr ? otherwise : static_cast<unsigned>(std::stoul(value));
}

struct EnvironmentVariable {
    std::string name;
    std::optional<std::string> before;

    // nullptr: not set.
    EnvironmentVariable(const char* variable, const char* value) : name(variable) {
        if (const char* old = std::getenv(variable)) {
            before = old;
        }
        set(value);
    }
    ~EnvironmentVariable() { set(before ? before->c_str() : nullptr); }
    EnvironmentVariable(const EnvironmentVariable&) = delete;
    EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

    void set(const char* value) const {
        if (value == nullptr) {
            unsetenv(name.c_str());
        } else {
            setenv(name.c_str(), value, 1);
        }
    }
};

} // namespace pie
