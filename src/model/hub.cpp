#include "model/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

namespace pie {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view default_quant = "Q4_K_M";

struct HubSpec {
    std::string user;
    std::string repository;
    std::string quant; // empty: the default

    std::string full_name() const { return user + "/" + repository; }
};

bool is_letter_or_digit(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The parts of a spec become names of folders and pieces of addresses, so nothing else is let through.
bool is_plain_name(std::string_view text) {
    return !text.empty() && text.front() != '.' && std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
    });
}

Result<HubSpec> parse_spec(std::string_view text) {
    const size_t slash = std::min(text.find('/'), text.size());
    const size_t colon = std::min(text.find(':'), text.size());
    if (slash < colon) {
        const std::string_view user = text.substr(0, slash);
        const std::string_view repository = text.substr(slash + 1, colon - slash - 1);
        const bool has_quant = colon < text.size();
        const std::string_view quant = has_quant ? text.substr(colon + 1) : "";
        if (is_plain_name(user) && is_plain_name(repository) && (!has_quant || is_plain_name(quant))) {
            return HubSpec{std::string(user), std::string(repository), std::string(quant)};
        }
    }
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' does not name a repository of the model hub; write user/repo or user/repo:quant",
                    text));
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    std::transform(lowered.begin(), lowered.end(), lowered.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    return lowered;
}

// Whether the path names this quantisation, and not one whose name it begins or ends: "Q4_K" is not in
// "a-Q4_K_M.gguf", nor "Q4_XS" in "a-IQ4_XS.gguf".
bool has_quant(const std::string& path, std::string_view quant) {
    const std::string text = lower(path);
    const std::string wanted = lower(quant);
    for (size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
        const bool begins = at == 0 || !is_letter_or_digit(text[at - 1]);
        const size_t end = at + wanted.size();
        const bool ends = end == text.size() || (!is_letter_or_digit(text[end]) && text[end] != '_');
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// "a-00001-of-00003.gguf"
bool is_split(const HubFile& file) {
    constexpr std::string_view form = "-00000-of-00000.gguf";
    const std::string path = lower(file.path);
    std::string end = path.substr(path.size() - std::min(path.size(), form.size()));
    std::replace_if(end.begin(), end.end(), is_digit, '0');
    return end == form;
}

// A model, not the image encoder or the importance matrix that some repositories hold beside it.
bool is_model(const HubFile& file) {
    const std::string name = lower(fs::path(file.path).filename().string());
    return ends_with(name, ".gguf") && name.rfind("mmproj", 0) != 0 &&
           name.find("imatrix") == std::string::npos;
}

std::string names_of(const std::vector<HubFile>& files) {
    std::string names;
    for (const HubFile& file : files) {
        names += (names.empty() ? "" : ", ") + file.path;
    }
    return names;
}

// What earlier runs fetched of the repository. The checksums are not known, and not needed: they were
// checked.
std::vector<HubFile> files_here(const fs::path& folder) {
    std::vector<HubFile> files;
    std::error_code error;
    for (auto entry = fs::recursive_directory_iterator(folder, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
        files.push_back({entry->path().lexically_relative(folder).generic_string(), 0, ""});
    }
    return files;
}

// A hub, or who poses as one, must not choose where on this machine a file is written.
bool stays_below_its_folder(const fs::path& path) {
    return path.is_relative() &&
           std::none_of(path.begin(), path.end(), [](const fs::path& step) { return step == ".."; });
}

} // namespace

Result<HubFile> choose_gguf(const std::vector<HubFile>& files, std::string_view quant) {
    std::vector<HubFile> models;
    std::copy_if(files.begin(), files.end(), std::back_inserter(models), is_model);
    std::sort(models.begin(), models.end(),
              [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
    if (models.empty()) {
        return fail(ErrorCode::not_found, "it has no GGUF file");
    }
    std::vector<HubFile> matching;
    std::copy_if(models.begin(), models.end(), std::back_inserter(matching), [&](const HubFile& file) {
        return has_quant(file.path, quant.empty() ? default_quant : quant);
    });
    if (matching.empty() && !quant.empty()) {
        return fail(ErrorCode::not_found,
                    fmt::format("it has no GGUF of quantisation '{}', but {}", quant, names_of(models)));
    }
    const std::vector<HubFile>& candidates = matching.empty() ? models : matching;
    const auto whole = std::find_if_not(candidates.begin(), candidates.end(), is_split);
    if (whole == candidates.end()) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("its GGUF is split over several files ({} …), which are not fetched; join them with "
                        "llama-gguf-split and give the path with -m, or name another quantisation",
                        candidates.front().path));
    }
    return *whole;
}

Result<fs::path> resolve_hub(std::string_view spec_text, const StoreSettings& settings, Progress& progress) {
    PIE_ASSIGN(const HubSpec spec, parse_spec(spec_text));
    const fs::path folder = settings.folder / "hub" / spec.user / spec.repository;
    // Without a quantisation, only the hub knows which file is its first, unless the default is here.
    const auto here = choose_gguf(files_here(folder), spec.quant);
    if (here && (!spec.quant.empty() || has_quant(here->path, default_quant))) {
        return folder / here->path;
    }
    const auto listed = list_hub_files(spec.full_name(), settings.hub);
    if (!listed && here && listed.error().code == ErrorCode::io) {
        progress.note(fmt::format("{}; using '{}', which is here", listed.error().message, here->path));
        return folder / here->path;
    }
    if (!listed) {
        return tl::unexpected<Error>(listed.error());
    }
    const auto chosen = choose_gguf(*listed, spec.quant);
    if (!chosen) {
        return fail(chosen.error().code,
                    fmt::format("cannot use the hub's '{}': {}", spec.full_name(), chosen.error().message));
    }
    if (!stays_below_its_folder(chosen->path) || chosen->sha256.empty()) {
        return fail(ErrorCode::corrupt,
                    fmt::format("the hub's list of '{}' has no usable path and sha256 for '{}'",
                                spec.full_name(), chosen->path));
    }
    const CatalogueEntry entry = {
        fs::path(chosen->path).filename().string(), "", "", chosen->size_bytes, chosen->sha256,
        {HubSource{spec.full_name(), chosen->path}}};
    const fs::path gguf = folder / chosen->path;
    std::error_code error;
    if (fs::exists(gguf, error)) {
        return gguf;
    }
    return pull_model_to(gguf, entry, settings, progress);
}

} // namespace pie
