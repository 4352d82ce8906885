// What the contract suite needs from a device to test it: probes, which are plans that note where and when they ran,
// run for a while, wait, fail, or break the processor. A new device implements DeviceUnderTest and instantiates
// DeviceContract; the cases themselves (the _test.cc files beside this one) know no device.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "device/device.h"

namespace tessera::device::contract {

// In place of an atom: a processor that the device does not have.
inline constexpr std::uint16_t kElsewhere = 0xffff;

// What one run of a probe noted. `began` and `ended` are places in one order of all beginnings and ends on the device.
struct ProbeRun {
  std::set<std::uint16_t> atoms;
  std::uint64_t began = 0;
  std::uint64_t ended = 0;
};

// Holds runs back until it is opened, for good.
class Gate {
 public:
  virtual ~Gate() = default;
  virtual void open() = 0;
  virtual int reached() const = 0;  // runs that came to it
};

enum class Outcome { kOk, kFail, kFault };  // kFail: an error of this plan alone; kFault: the processor breaks

// What a probe does in each run, in this order; at the end, unless it fails, it answers (see answer_to).
struct ProbeWork {
  Gate* gate = nullptr;  // waits here, occupying its slice
  Duration busy{0};      // then occupies its slice for this long
  Outcome outcome = Outcome::kOk;
};

// One output of the input's shape, each byte of which is the input's, changed like this; zero bytes for padding.
inline std::byte answer_to(std::byte input) { return input ^ std::byte{0xa5}; }

class Probe {
 public:
  virtual ~Probe() = default;
  virtual const Plan& plan() const = 0;
  virtual std::vector<ProbeRun> runs() const = 0;
};

// A device with what makes probes for it. Destroys the device first, if that was not done.
class DeviceUnderTest {
 public:
  virtual ~DeviceUnderTest() = default;
  virtual Device& device() = 0;
  virtual void destroy_device() = 0;
  virtual std::unique_ptr<Gate> make_gate() = 0;
  virtual std::unique_ptr<Probe> make_probe(const ProbeWork& work) = 0;
  // Whether a launch that still waits for others is committed already (and so can be cancelled only with ran = true).
  virtual bool commits_at_launch() const = 0;
  // Called again and again while a test waits; devices on a manual clock move it.
  virtual void let_time_pass() {}
  // The atoms that work begun by the calling thread itself would use.
  virtual std::set<std::uint16_t> atoms_of_this_thread() = 0;
};

struct DeviceKind {
  std::string name;
  std::function<std::unique_ptr<DeviceUnderTest>()> make;
  // Why this host cannot have such a device, in which case its tests are skipped.
  std::function<std::optional<std::string>()> missing = [] { return std::nullopt; };
};
inline std::ostream& operator<<(std::ostream& out, const DeviceKind& kind) { return out << kind.name; }

// One batch of bytes, from its launch to its completion.
struct Job {
  LaunchId id;
  const Probe* probe = nullptr;
  Slice slice;
  After after = After::kOverlap;
  InstanceId instance;
  LaneIndex lane;
  std::vector<std::vector<std::byte>> input;  // parts
  Batch batch;
  bool accepted = false;
  Started started = Started::kQueued;
};

// Everything the device said, in order. Thread-safe.
class Inbox final : public CompletionSink {
 public:
  void completed(const Completion& completion) override { put(completion); }
  void copied(const CopyEnd& end) override { put(end); }
  void device_down(const Error& reason) override { put(reason); }
  using Report = std::variant<Completion, CopyEnd, Error>;
  std::deque<Report> take();

 private:
  void put(Report report);

  std::mutex mutex_;
  std::deque<Report> reports_;
};

// Plays the dispatcher: the test's own thread holds the role.
class DeviceContract : public testing::TestWithParam<DeviceKind> {
 protected:
  struct LaunchOptions {
    After after = After::kOverlap;
    InstanceId instance{1};
    LaneIndex lane{0};
    bool may_run_here = false;
    CopyId after_copy{};
  };

  void SetUp() override;
  void TearDown() override;

  Device& device() { return under_test_->device(); }
  DeviceUnderTest& under_test() { return *under_test_; }
  Slice atom(std::uint16_t index) const { return {index, 1}; }
  Slice whole() { return device().shape().whole(); }
  std::uint16_t atoms() { return device().shape().atoms(); }

  // Objects that live until the test has ended.
  Gate& gate();
  Probe& probe(const ProbeWork& work = {});

  // Launches, and runs it here where the device asks for that; the test fails if it is refused.
  Job& start(const Probe& probe, const Slice& slice, const LaunchOptions& options);
  Job& start(const Probe& probe, const Slice& slice) { return start(probe, slice, LaunchOptions{}); }
  Result<Started> try_start(Job& job, const LaunchOptions& options);
  Job& make_job(const Probe& probe, const Slice& slice, const LaunchOptions& options);

  // Begins a copy of that many bytes of request memory, which live until the test has ended.
  CopyId copy(std::size_t bytes);

  // Takes what the device reported and retires it.
  void pump();
  // False, and a failure, when it has not become true within a long time.
  bool wait_until(const std::function<bool()>& condition, const char* what);
  bool wait_for(const Job& job);
  bool wait_for_all();
  // Long enough for something that must not happen to happen.
  void settle();

  bool done(const Job& job) const { return completions_.contains(job.id); }
  const Completion& completion(const Job& job) const { return completions_.at(job.id); }
  bool succeeded(const Job& job) const { return done(job) && completion(job).status.ok(); }
  bool has_code(const Job& job, ErrorCode code) const;
  void expect_answered(const Job& job) const;

  std::unique_ptr<DeviceUnderTest> under_test_;
  Inbox inbox_;
  std::vector<std::unique_ptr<Gate>> gates_;
  std::vector<std::unique_ptr<Probe>> probes_;
  std::deque<Job> jobs_;
  std::map<LaunchId, Completion> completions_;
  std::vector<LaunchId> completion_order_;
  std::deque<std::unique_ptr<StagingBlock>> blocks_;
  std::uint64_t last_copy_ = 0;
  std::vector<CopyEnd> copy_ends_;
  std::vector<Error> downs_;
  std::uint64_t last_id_ = 0;
};

}  // namespace tessera::device::contract
