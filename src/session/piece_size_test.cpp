#include "session/piece_size.h"

#include <doctest/doctest.h>

#include <initializer_list>

namespace pie {

TEST_CASE("pieces grow with each whole one, as far as they take the time that there is") {
    PieceSize size(8, 512);
    CHECK(size.within(250) == 32); // no pace is known
    size.note_whole(32, 64);
    CHECK(size.within(250) == 64);
    CHECK(size.within(100) == 50);
    CHECK(size.within(1) == 8);
    CHECK(size.about(1, 32) == 32);
    CHECK(size.about(100, 32) == 50);
    for (int i = 0; i < 8; ++i) {
        size.note_whole(size.within(10000), size.within(10000) * 2.0);
    }
    CHECK(size.within(10000) == 512);
    CHECK(size.within(250) == 125);
    size.note_whole(3, 100); // the end of an edit
    CHECK(size.within(250) == 125);
}

TEST_CASE("pieces that are cut get shorter, until one must end") {
    PieceSize size(8, 512);
    for (const int32_t n : {32, 16}) {
        CHECK(size.within(250) == n);
        CHECK_FALSE(size.must_end());
        size.note_cut(n);
    }
    CHECK(size.within(250) == 8);
    CHECK(size.must_end());
    size.note_whole(8, 10);
    CHECK_FALSE(size.must_end());
    CHECK(size.within(250) == 16);
    size.note_whole(16, 100);
    size.note_whole(32, 3200); // a slow one
    CHECK(size.within(250) == 8);
    CHECK(size.about(250, 32) == 32);
    size.note_cut(8);
    CHECK(size.about(250, 32) == 8);
    CHECK(size.must_end());
}

TEST_CASE("an engine of small batches has pieces of one size") {
    PieceSize size(16, 16);
    CHECK(size.within(250) == 16);
    size.note_whole(16, 1);
    CHECK(size.within(250) == 16);
    CHECK(size.within(0) == 16);
    size.note_cut(16);
    CHECK(size.must_end());
}

} // namespace pie
