#include "tests/contract/device/device_contract.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace tessera::device::contract {
namespace {

constexpr std::chrono::seconds kLongTime{30};
constexpr std::chrono::milliseconds kSettle{20};
constexpr std::chrono::microseconds kPause{50};
constexpr std::size_t kRowBytes = 48;

}  // namespace

std::deque<Inbox::Report> Inbox::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reports_, {});
}

void Inbox::put(Report report) {
  const std::lock_guard lock(mutex_);
  reports_.push_back(std::move(report));
}

void DeviceContract::SetUp() {
  if (const auto reason = GetParam().missing()) {
    GTEST_SKIP() << *reason;
  }
  under_test_ = GetParam().make();
  ASSERT_NE(under_test_, nullptr);
  device().set_sink(inbox_);
}

void DeviceContract::TearDown() {
  for (const auto& gate : gates_) {
    gate->open();
  }
  under_test_.reset();
  blocks_.clear();
}

Gate& DeviceContract::gate() { return *gates_.emplace_back(under_test_->make_gate()); }

Probe& DeviceContract::probe(const ProbeWork& work) { return *probes_.emplace_back(under_test_->make_probe(work)); }

Job& DeviceContract::make_job(const Probe& probe, const Slice& slice, const LaunchOptions& options) {
  Job& job = jobs_.emplace_back();
  job.id = LaunchId{++last_id_};
  job.probe = &probe;
  job.slice = slice;
  job.after = options.after;
  job.instance = options.instance;
  job.lane = options.lane;
  // One to three rows in as many parts, different in every job.
  const std::size_t rows = 1 + last_id_ % 3;
  for (std::size_t row = 0; row < rows; ++row) {
    auto& part = job.input.emplace_back(kRowBytes);
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] = static_cast<std::byte>((last_id_ * 31 + row * 7 + i) & 0xff);
    }
  }
  job.batch.rows = static_cast<std::int32_t>(rows);
  job.batch.bucket = 4;
  BatchInput input{.dtype = DType::kUint8, .row_shape = {static_cast<std::int64_t>(kRowBytes)}, .parts = {}};
  input.parts.assign(job.input.begin(), job.input.end());
  job.batch.inputs.push_back(std::move(input));
  return job;
}

Result<Started> DeviceContract::try_start(Job& job, const LaunchOptions& options) {
  const Launch launch{.id = job.id,
                      .instance = job.instance,
                      .lane = job.lane,
                      .slice = job.slice,
                      .after = job.after,
                      .plan = &job.probe->plan(),
                      .batch = &job.batch,
                      .after_copy = options.after_copy,
                      .may_run_here = options.may_run_here};
  auto started = device().launch(launch);
  if (started.ok()) {
    job.accepted = true;
    job.started = *started;
  }
  return started;
}

Job& DeviceContract::start(const Probe& probe, const Slice& slice, const LaunchOptions& options) {
  Job& job = make_job(probe, slice, options);
  const auto started = try_start(job, options);
  EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().message());
  if (started.ok() && *started == Started::kRunHere) {
    EXPECT_TRUE(options.may_run_here);
    device().run_here(job.id);
  }
  return job;
}

CopyId DeviceContract::copy(std::size_t bytes) {
  auto block = device().staging().lease({bytes});
  EXPECT_TRUE(block.ok());
  const auto from = blocks_.emplace_back(*std::move(block))->bytes();
  EXPECT_TRUE(device().can_copy(from));
  const CopyId id{++last_copy_};
  const Status begun = device().copy({.id = id, .bytes = from});
  EXPECT_TRUE(begun.ok()) << (begun.ok() ? "" : begun.error().message());
  return id;
}

void DeviceContract::pump() {
  for (auto& report : inbox_.take()) {
    if (const auto* down = std::get_if<Error>(&report)) {
      downs_.push_back(*down);
      continue;
    }
    if (const auto* end = std::get_if<CopyEnd>(&report)) {
      EXPECT_TRUE(downs_.empty()) << "copy " << end->id.value << " ended after device_down";
      copy_ends_.push_back(*end);
      continue;
    }
    const auto& completion = std::get<Completion>(report);
    EXPECT_TRUE(downs_.empty()) << "launch " << completion.id.value << " completed after device_down";
    EXPECT_TRUE(std::any_of(jobs_.begin(), jobs_.end(),
                            [&](const Job& job) { return job.accepted && job.id == completion.id; }))
        << "completion of launch " << completion.id.value << ", which was not accepted";
    if (!completions_.emplace(completion.id, completion).second) {
      ADD_FAILURE() << "launch " << completion.id.value << " completed twice";
      continue;
    }
    completion_order_.push_back(completion.id);
    device().retire(completion.id);
  }
}

bool DeviceContract::wait_until(const std::function<bool()>& condition, const char* what) {
  const TimePoint limit = now() + kLongTime;
  for (;;) {
    pump();
    if (condition()) {
      return true;
    }
    if (now() > limit) {
      ADD_FAILURE() << "not within " << kLongTime.count() << " s: " << what;
      return false;
    }
    under_test_->let_time_pass();
    std::this_thread::sleep_for(kPause);
  }
}

bool DeviceContract::wait_for(const Job& job) {
  return wait_until([&] { return done(job); }, "completion of a launch");
}

bool DeviceContract::wait_for_all() {
  return wait_until(
      [&] {
        return std::all_of(jobs_.begin(), jobs_.end(), [&](const Job& job) { return !job.accepted || done(job); });
      },
      "completion of all launches");
}

void DeviceContract::settle() {
  for (const TimePoint end = now() + kSettle; now() < end;) {
    pump();
    under_test_->let_time_pass();
    std::this_thread::sleep_for(kPause);
  }
}

bool DeviceContract::has_code(const Job& job, ErrorCode code) const {
  return done(job) && !completion(job).status.ok() && completion(job).status.error().code() == code;
}

void DeviceContract::expect_answered(const Job& job) const {
  ASSERT_TRUE(done(job));
  ASSERT_TRUE(completion(job).status.ok()) << completion(job).status.error().message();
  EXPECT_TRUE(completion(job).ran);
  EXPECT_LE(completion(job).started, completion(job).ended);
  ASSERT_EQ(job.batch.outputs.size(), 1U);
  const TensorView& output = job.batch.outputs.front();
  EXPECT_EQ(output.shape, (Shape{job.batch.rows, static_cast<std::int64_t>(kRowBytes)}));
  ASSERT_EQ(output.data.size(), job.input.size() * kRowBytes);
  for (std::size_t row = 0; row < job.input.size(); ++row) {
    for (std::size_t i = 0; i < kRowBytes; ++i) {
      ASSERT_EQ(output.data[row * kRowBytes + i], answer_to(job.input[row][i])) << "row " << row << ", byte " << i;
    }
  }
}

}  // namespace tessera::device::contract
