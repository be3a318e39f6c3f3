#pragma once

// What slots' caches are of, as files beside the caches' snapshots: without them a restarted server could not
// tell to which session a request belongs. They hold the user's text, in folders that only their owner can
// enter. A record that is older or newer than its snapshot costs time, never correctness.
//
// Thread rule: any thread; a file belongs to one at a time.

#include "server/session_pool.h"

#include <pie/result.h>

#include <filesystem>
#include <string>
#include <vector>

namespace pie {

// JSON with the number of its format; one that is not known is refused. Errors: io.
Result<void> write_content(const std::filesystem::path& path, const PromptContent& content);
// Errors: not_found, io, corrupt, unsupported.
Result<PromptContent> read_content(const std::filesystem::path& path);

class SlotRecords {
  public:
    // Two models may share a folder: `fingerprint` tells them apart.
    SlotRecords(const std::filesystem::path& snapshot_folder, const std::string& fingerprint)
        : folder_(snapshot_folder / "slots"), prefix_(fingerprint.substr(0, 16) + "-") {}

    // What a former process wrote, the one written last at the end. What cannot be read is told in the log
    // and left out.
    std::vector<SlotContent> load() const;

    Result<void> write(const SlotContent& slot) const;

  private:
    std::filesystem::path folder_;
    std::string prefix_; // of the files' names
};

} // namespace pie
