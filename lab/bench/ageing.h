#pragma once

// An editing session that goes on for as long as wanted: a line is cut out of the document and pasted in
// elsewhere, again and again, while the cursor stays on its own line. The document keeps its size, so that
// what an edit costs after many others can be compared with what it cost before them; but what a cache keeps
// of the document is scattered over its cells more and more.
//
// Thread rule: one thread at a time. Equal documents have equal sessions.

#include "bench/document_lines.h"
#include "bench/workloads.h"
#include "eval/random.h"

#include <cstddef>
#include <optional>
#include <string>

namespace pie {

class Ageing {
  public:
    // Of two lines and more.
    explicit Ageing(const SourceDocument& document);

    void edit();
    const Lines& lines() const { return lines_; }
    DocumentState state() const;

  private:
    Lines lines_;
    size_t cursor_line_;
    std::optional<std::string> cut_; // and not pasted yet
    Random random_{1, "ageing"};
};

} // namespace pie
