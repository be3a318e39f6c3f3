// Conversations as known templates write them, and what is told of others.

#include "model/chat_template.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr const char* chatml = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
                               "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}";
constexpr const char* llama3 = "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
                               "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
                               "{% endfor %}";

// Empty: without a template.
std::unique_ptr<LoadedModel> load_with(const std::string& chat_template) {
    const testing::TemporaryFolder folder;
    const auto file = folder.path() / "tiny.gguf";
    testing::write_tiny_model({.architecture = "qwen2",
                               .spoil =
                                   [&](gguf_context* gguf) {
                                       if (!chat_template.empty()) {
                                           gguf_set_val_str(gguf, "tokenizer.chat_template",
                                                            chat_template.c_str());
                                       }
                                   }},
                              file);
    return LoadedModel::load(file).value();
}

} // namespace

TEST_CASE("a conversation is written as the template says") {
    const std::vector<ChatMessage> messages = {
        {"system", "Be brief."}, {"user", "What is 2 + 2?"}, {"assistant", "4"}, {"user", "naïve? "}};
    CHECK(apply_chat_template(*load_with(chatml), messages).value() ==
          "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n"
          "<|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\nnaïve? <|im_end|>\n"
          "<|im_start|>assistant\n");
    CHECK(apply_chat_template(*load_with(llama3), messages).value() ==
          "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
          "<|start_header_id|>user<|end_header_id|>\n\nWhat is 2 + 2?<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\n4<|eot_id|>"
          "<|start_header_id|>user<|end_header_id|>\n\nnaïve?<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST_CASE("an answer that is begun is gone on with") {
    const auto model = load_with(chatml);
    const std::vector<ChatMessage> begun = {{"user", "Count."}, {"assistant", "1, 2,"}};
    CHECK(apply_chat_template(*model, begun).value() ==
          "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\n1, 2,");
    const std::vector<ChatMessage> alone = {{"assistant", "Well"}};
    CHECK(apply_chat_template(*model, alone).value() == "<|im_start|>assistant\nWell");
}

TEST_CASE("a long conversation is whole") {
    std::vector<ChatMessage> messages;
    std::string expected;
    for (int i = 0; i < 500; ++i) {
        messages.push_back({i % 2 == 0 ? "user" : "assistant", std::string(static_cast<size_t>(i), 'x')});
        expected += "<|im_start|>" + messages.back().role + "\n" + messages.back().content + "<|im_end|>\n";
    }
    messages.push_back({"user", "?"});
    expected += "<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n";
    CHECK(apply_chat_template(*load_with(chatml), messages).value() == expected);
}

TEST_CASE("what cannot be written is told") {
    const std::vector<ChatMessage> messages = {{"user", "Hello"}};
    CHECK(apply_chat_template(*load_with(""), messages).error().code == ErrorCode::unsupported);
    CHECK(apply_chat_template(*load_with("{{ messages[0].content | upper }}"), messages).error().code ==
          ErrorCode::unsupported);
    const auto model = load_with(chatml);
    CHECK(apply_chat_template(*model, {}).error().code == ErrorCode::invalid_argument);
    const std::vector<ChatMessage> cut = {{"user", std::string("a\0b", 3)}};
    CHECK(apply_chat_template(*model, cut).error().code == ErrorCode::invalid_argument);
}

} // namespace pie
