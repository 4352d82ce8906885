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

}  // namespace

Result<std::unique_ptr<Recorder>> Recorder::open(const std::filesystem::path& path, RecorderLimits limits) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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
    const bool written = write(bytes);
    lock.lock();
    if (!written) {
      why_ = std::string("cannot write: ") + std::strerror(errno);
      ended_ = last = true;
    }
  }
  if (!why_.empty()) {
    log(LogLevel::kWarning, "recording has ended; the server goes on", {{"file", name_}, {"reason", why_}});
  }
  ::close(file_);
}

bool Recorder::write(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t more = ::write(file_, bytes.data() + done, bytes.size() - done);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) return false;
    done += static_cast<std::size_t>(more);
  }
  return true;
}

}  // namespace tessera::runtime
