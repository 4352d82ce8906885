// Keeps a journal (sched/journal.h) of what the schedulers of all devices are told and answer.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/ids.h"
#include "base/result.h"
#include "sched/journal.h"

namespace tessera::runtime {

struct RecorderLimits {
  Bytes unwritten{std::uint64_t{32} << 20};  // that the disk has still to take
  Bytes file{std::uint64_t{1} << 30};
  bool sample = false;  // it is expected to end with the file's limit: no warning then
};

// Thread-safe. Who records never waits for the disk: a thread of its own writes. Where that cannot keep pace, the file
// is as long as it may be, or cannot be written, recording ends there, which the file and the log say, and everything
// else goes on.
class Recorder {
 public:
  // Error: the file cannot be made; one that is there is overwritten.
  static Result<std::unique_ptr<Recorder>> open(const std::filesystem::path& path, RecorderLimits limits = {});
  ~Recorder() { finish(); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void begin(const sched::JournalDevice& device);
  // By the one who holds the device's scheduler.
  void step(std::uint16_t device, TimePoint at, const sched::Event& event, const sched::Actions& actions);

  // Nothing more is recorded; returns when the file is complete.
  void finish();

 private:
  Recorder(int file, std::string name, RecorderLimits limits);
  void add(const std::string& record);
  void write_all();
  std::string write(const std::string& bytes);
  void end_after_failure(std::string_view came_through, const std::string& why);

  const int file_;
  const std::string name_;
  const RecorderLimits limits_;
  std::uint64_t written_ = 0;  // bytes; owned by the thread

  std::mutex mutex_;  // guards all below but thread_
  std::condition_variable changed_;
  std::string unwritten_;
  std::uint64_t taken_ = 0;  // bytes
  bool ended_ = false;
  std::string why_;  // ended early
  std::thread thread_;
};

// What a device's dispatcher records into. Value.
struct Recording {
  std::shared_ptr<Recorder> to;  // nullptr: nothing is recorded
  std::uint16_t device = 0;
  std::string policy{};
};

}  // namespace tessera::runtime
