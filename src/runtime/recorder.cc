#include "runtime/recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/affinity.h"
#include "base/log.h"

namespace tessera::runtime {
namespace {

// What a killed server loses at most, and from how much on the thread is woken before that.
constexpr std::chrono::milliseconds kFlush{100};
constexpr std::size_t kWake = std::size_t{1} << 20;
constexpr std::size_t kRoomForEnd = 256;

}  // namespace

Result<std::unique_ptr<Recorder>> Recorder::open(const std::filesystem::path& path, RecorderLimits limits) {
  // A pipe that nobody reads would hold up the start otherwise; files know no such waiting.
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
  if (file < 0) {
    return invalid_argument("cannot record into " + path.string() + ": " + std::strerror(errno));
  }
  return std::unique_ptr<Recorder>(new Recorder(file, path.string(), limits));
}

Recorder::Recorder(int file, std::string name, RecorderLimits limits)
    : file_(file), name_(std::move(name)), limits_(limits), unwritten_(sched::kJournalHead) {
  thread_ = std::thread([this] {
    name_this_thread("recorder");
    write_all();
  });
}

void Recorder::begin(const sched::JournalDevice& device) {
  std::string record;
  sched::write_device(device, record);
  add(record);
}

void Recorder::step(std::uint16_t device, TimePoint at, const sched::Event& event, const sched::Actions& actions) {
  thread_local std::string record;
  record.clear();
  sched::write_step(device, at, event, actions, record);
  add(record);
}

void Recorder::add(const std::string& record) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (record.size() > sched::kMaxJournalRecord) {
      why_ = "a step was too long";
    } else if (taken_ + record.size() > limits_.file.value) {
      why_ = "the file is as long as it may be";
    } else if (unwritten_.size() + record.size() > limits_.unwritten.value) {
      why_ = "the disk does not keep pace";
    } else {
      unwritten_ += record;
      taken_ += record.size();
    }
    ended_ = !why_.empty();
    wake = ended_ || (unwritten_.size() >= kWake && unwritten_.size() - record.size() < kWake);
  }
  if (wake) changed_.notify_all();
}

void Recorder::finish() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Recorder::write_all() {
  std::string bytes;
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    changed_.wait_for(lock, kFlush, [this] { return ended_ || unwritten_.size() >= kWake; });
    last = ended_;
    bytes.clear();
    bytes.swap(unwritten_);
    if (last) sched::write_end({why_}, bytes);
    lock.unlock();
    const std::string failed = write(bytes);
    lock.lock();
    if (!failed.empty()) {
      why_ = "cannot write: " + failed;
      ended_ = last = true;
    }
  }
  if (!why_.empty()) {
    log(limits_.sample ? LogLevel::kInfo : LogLevel::kWarning, "recording has ended; the server goes on",
        {{"file", name_}, {"reason", why_}});
  }
  ::close(file_);
}

// What was wrong; empty: all of it is there.
std::string Recorder::write(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t more = ::write(file_, bytes.data() + done, bytes.size() - done);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) {
      std::string why = more < 0 ? std::strerror(errno) : "nothing was taken";
      end_after_failure(std::string_view(bytes).substr(0, done), why);
      return why;
    }
    done += static_cast<std::size_t>(more);
  }
  written_ += bytes.size();
  return {};
}

// Of what came through, takes back the last records: room for saying why they are missing.
void Recorder::end_after_failure(std::string_view came_through, const std::string& why) {
  const std::size_t head = written_ == 0 ? sched::kJournalHead.size() : 0;
  if (came_through.size() < head + kRoomForEnd) return;
  const std::string_view records = came_through.substr(head, came_through.size() - head - kRoomForEnd);
  const std::uint64_t kept = written_ + head + sched::whole_records(records);
  std::string end;
  sched::write_end({"cannot write: " + why}, end);
  if (::ftruncate(file_, static_cast<off_t>(kept)) != 0 || ::lseek(file_, 0, SEEK_END) < 0 ||
      ::write(file_, end.data(), end.size()) != static_cast<ssize_t>(end.size())) {
    log(LogLevel::kWarning, "the recording's file does not say that it ends early", {{"file", name_}});
  }
}

}  // namespace tessera::runtime
