#pragma once

// Parts that several kinds of requests have, for request.cpp and document_request.cpp.

#include "server/json_fields.h"
#include "server/request.h"

namespace pie {

GenerationRequest read_generation(JsonFields& fields);
std::vector<ContextChunk> read_chunks(JsonFields& fields, std::string_view name);

} // namespace pie
