#pragma once

// What clients say of live documents. Places are bytes of the UTF-8 text.
//
// Pure functions; any thread.

#include "server/request.h"

#include <pie/context.h>
#include <pie/result.h>
#include <pie/text_edit.h>
#include <pie/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct PutDocument {
    std::string text;
    ByteOffset cursor; // the end of the text, where the client does not say
    int64_t version = 1;
    DocumentContext context;
};

// Each edit is of the text that those before it made.
struct PatchDocument {
    int64_t version = 0; // that the edits bring
    std::vector<TextEdit> edits;
    ByteOffset cursor; // behind the last edit, where the client does not say
};

struct DocumentPlace {
    std::optional<int64_t> version;   // that the client has
    std::optional<ByteOffset> cursor; // none: as it is
};

struct CompleteDocument {
    DocumentPlace place;
    GenerationRequest generation;
};

// Errors: invalid_argument, unsupported; see request.h.
Result<PutDocument> parse_put_document(std::string_view body);
Result<PatchDocument> parse_patch_document(std::string_view body);
Result<CompleteDocument> parse_complete_document(std::string_view body);

} // namespace pie
