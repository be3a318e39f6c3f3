// Completes a file, edits it, and completes it again: complete MODEL.gguf FILE
// Built by CMakeLists.txt beside it, against an installed pie.

#include <pie/model.h>

#include <fstream>
#include <iostream>
#include <iterator>

namespace {

int fail(const pie::Error& error) {
    std::cerr << error.message << "\n";
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: complete MODEL.gguf FILE\n";
        return 2;
    }
    std::ifstream file(argv[2]);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto model = pie::Model::load(argv[1]);
    if (!model) {
        return fail(model.error());
    }
    pie::Session session = model->open(argv[2]);

    // The end of the file is where the cursor is; a comment at its top is what the user adds later.
    pie::Result<int64_t> version = session.set_text(text, pie::ByteOffset(text.size()));
    const pie::TextEdit edit{pie::ByteOffset(0), pie::ByteOffset(0), "// An example.\n"};
    for (int round = 0; round < 2; ++round) {
        if (!version) {
            return fail(version.error());
        }
        const auto completion = session.complete({.n_predict = 24});
        if (!completion) {
            return fail(completion.error());
        }
        const pie::UpdateReport update = session.stats().last_update;
        std::cout << completion->text << "\n";
        std::cerr << update.tokens_encoded << " of " << update.tokens_context << " tokens encoded\n";
        version = session.edit(std::span(&edit, 1), pie::ByteOffset(text.size() + edit.text.size()));
    }
}
