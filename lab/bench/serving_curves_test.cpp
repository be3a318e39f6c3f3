#include "bench/serving_curves.h"

#include <doctest/doctest.h>

namespace pie {
namespace {

SystemSummary taken(std::string system, double milliseconds) {
    SystemSummary summary;
    summary.system = std::move(system);
    summary.n_steps = 3;
    summary.first_ms = {milliseconds, milliseconds};
    return summary;
}

ServingCell cell(std::string workload, int32_t context, double milliseconds) {
    ServingCell made;
    made.workload = std::move(workload);
    made.context = context;
    made.systems = {taken("pie", milliseconds), taken("suffix-first", 7 * milliseconds),
                    taken("limit", milliseconds / 2)};
    made.best = "suffix-first";
    return made;
}

} // namespace

TEST_CASE("the first number of a name is what varies") {
    const auto insertion = varying_name("insert-16-at-1/4");
    REQUIRE(insertion);
    CHECK(insertion->name == "insert-N-at-1/4");
    CHECK(insertion->n == 16);
    const auto sessions = varying_name("sessions-8");
    REQUIRE(sessions);
    CHECK(sessions->name == "sessions-N");
    CHECK(sessions->n == 8);
    for (const char* name : {"", "typing", "8", "mp3", "a-1/4", "a-99999999999999"}) {
        CAPTURE(name);
        CHECK_FALSE(varying_name(name));
    }
}

TEST_CASE("curves over the context and over the numbers of names, of two points and more") {
    const std::vector<ServingCell> cells = {cell("typing", 1024, 1), cell("after-0", 1024, 4),
                                            cell("after-100", 1024, 5), cell("typing", 4096, 2),
                                            cell("jump", 4096, 3)};
    const auto curves = curves_of(cells);
    REQUIRE(curves.size() == 2);
    CHECK(curves[0].name == "typing");
    CHECK(curves[0].over == "tokens");
    REQUIRE(curves[0].points.size() == 2);
    CHECK(curves[0].points.at(4096) == &cells[3]);
    CHECK(curves[1].name == "after-N at 1024 tokens");
    CHECK(curves[1].over == "N");
    CHECK(curves[1].points.at(0) == &cells[1]);
    CHECK(curves[1].points.at(100) == &cells[2]);
}

TEST_CASE("curves with the same points share a table") {
    CHECK(curve_tables(std::vector<ServingCell>{cell("typing", 1024, 1), cell("jump", 4096, 1)}).empty());
    const std::vector<ServingCell> cells = {cell("typing", 1024, 10), cell("jump", 1024, 1),
                                            cell("typing", 4096, 20), cell("jump", 4096, 3),
                                            cell("move", 1024, 1),    cell("move", 2048, 3)};
    const std::string text = curve_tables(cells);
    CHECK(text.find("| tokens | 1024              | 4096              |\n") != std::string::npos);
    CHECK(text.find("| typing | 10.0 / 5.0 / 70.0 | 20.0 / 10.0 / 140 |\n") != std::string::npos);
    CHECK(text.find("| tokens | 1024            | 2048") != std::string::npos);
}

} // namespace pie
