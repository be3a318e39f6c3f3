#include "base/files.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "base/test_fixtures.h"

#include <doctest/doctest.h>

#include <csignal>

namespace {

// FIPS 180-4's examples, and a million times "a".
constexpr const char* digest_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* digest_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* digest_of_a_million =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

} // namespace

TEST_CASE("known digests, in one piece and in many") {
    CHECK(pie::Sha256().hex_digest() == digest_of_nothing);
    pie::Sha256 abc;
    abc.update("a");
    abc.update("");
    abc.update("bc");
    CHECK(abc.hex_digest() == digest_of_abc);
}

TEST_CASE("the digest of a file, with the bytes reported as they are read") {
    const pie::ScratchFolder scratch;
    const auto path = scratch.path / "a";
    REQUIRE(pie::write_file_atomic(path, std::string(1'000'000, 'a')));
    uint64_t reported_bytes = 0;
    const auto digest = pie::sha256_of_file(path, [&](uint64_t bytes) { reported_bytes = bytes; });
    REQUIRE(digest);
    CHECK(*digest == digest_of_a_million);
    CHECK(reported_bytes == 1'000'000);
}

TEST_CASE("a missing file and an interruption are errors") {
    const auto missing = pie::sha256_of_file("/nonexistent/file");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == pie::ErrorCode::not_found);

    const pie::ScratchFolder scratch;
    const auto path = scratch.path / "abc";
    REQUIRE(pie::write_file_atomic(path, "abc"));
    pie::install_interrupt_handlers();
    raise(SIGINT);
    const auto stopped = pie::sha256_of_file(path);
    pie::clear_interrupt();
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == pie::ErrorCode::cancelled);
}
