// Several models' lanes kept busy at once with batches that change slice, size, order and place every time; every
// answer is compared with that of the whole device.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "device/device.h"
#include "engine/engine.h"
#include "engine/onnxruntime/cuda/trial_batch.h"

namespace tessera::engine {

// Waits for the completions of launches. Thread-safe.
class Completions final : public device::CompletionSink {
 public:
  void completed(const device::Completion& completion) override {
    const std::lock_guard lock(mutex_);
    done_[completion.id] = completion;
    changed_.notify_all();
  }
  void device_down(const Error& reason) override { ADD_FAILURE() << reason.message(); }
  device::Completion wait_for(LaunchId id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_.count(id) > 0; });
    return done_.extract(id).mapped();
  }
  device::Completion wait_for_any() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !done_.empty(); });
    return done_.extract(done_.begin()).mapped();
  }
  // Leaves the completion to wait_for().
  bool ended_within(LaunchId id, std::chrono::milliseconds span) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, span, [&] { return done_.count(id) > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<LaunchId, device::Completion> done_;
};

// A model with rows to feed it. Owned by one thread at a time.
class Net {
 public:
  static constexpr std::int32_t kRows = 16;

  Net(device::Device& device, LoadedModel& model, InstanceId instance)
      : device_(device), model_(model), instance_(instance) {
    auto rows = TrialBatch::make(device.staging(), model.signature(), kRows, kRows, true, 3 + instance.value);
    EXPECT_TRUE(rows.ok());
    rows_ = std::make_unique<TrialBatch>(*std::move(rows));
  }

  LoadedModel& model() { return model_; }
  InstanceId instance() const { return instance_; }

  // The plan and its homes in all of `slices` that can hold it.
  void home(std::int32_t bucket, std::uint16_t lane, const std::vector<Slice>& slices) {
    for (const Slice& slice : slices) {
      const auto plan = model_.prepare_home(bucket, {lane}, slice);
      if (plan.ok()) {
        add_home(bucket, lane, slice, *plan);
      } else {
        EXPECT_EQ(plan.error().code(), ErrorCode::kUnsupported) << plan.error().message();
      }
    }
  }
  void add_home(std::int32_t bucket, std::uint16_t lane, const Slice& slice, const device::Plan* plan) {
    homes_[{bucket, lane}].emplace_back(slice, plan);
  }
  // What the whole device answers, for each row at each place of a batch: from lane 0, which no launch may be in.
  void learn(std::int32_t bucket) {
    const Slice whole = device_.shape().whole();
    const auto plan = model_.prepare_home(bucket, {0}, whole);
    ASSERT_TRUE(plan.ok()) << plan.error().message();
    for (std::int32_t first = 0; first < kRows; ++first) {
      std::vector<std::int32_t> rows;
      for (std::int32_t place = 0; place < bucket; ++place) {
        rows.push_back((first + place) % kRows);
      }
      Batch batch = batch_of(rows, bucket);
      const auto ran = device_.run_borrowed(**plan, whole, batch);
      ASSERT_TRUE(ran.ok()) << ran.error().message();
      for (std::int32_t place = 0; place < bucket; ++place) {
        expected_[{bucket, place, rows[static_cast<std::size_t>(place)]}] = answer(batch, place);
      }
    }
  }

  const std::vector<std::pair<Slice, const device::Plan*>>& homes(std::int32_t bucket, std::uint16_t lane) const {
    return homes_.at({bucket, lane});
  }
  Batch batch_of(const std::vector<std::int32_t>& rows, std::int32_t bucket) {
    Batch batch;
    batch.rows = static_cast<std::int32_t>(rows.size());
    batch.bucket = bucket;
    for (const BatchInput& all : rows_->batch().inputs) {
      BatchInput input{all.dtype, all.row_shape, {}};
      const std::size_t bytes = all.parts.front().size() / kRows;
      for (const std::int32_t row : rows) {
        input.parts.push_back(all.parts.front().subspan(static_cast<std::size_t>(row) * bytes, bytes));
      }
      batch.inputs.push_back(std::move(input));
    }
    return batch;
  }
  bool right(const Batch& batch, std::int32_t bucket, const std::vector<std::int32_t>& rows) const {
    for (std::size_t place = 0; place < rows.size(); ++place) {
      const auto at = static_cast<std::int32_t>(place);
      if (answer(batch, at) != expected_.at({bucket, at, rows[place]})) {
        return false;
      }
    }
    return true;
  }
  // Rows whose answers depend on where in a batch they stand.
  int rows_that_depend_on_their_place(std::int32_t bucket) const {
    int found = 0;
    for (std::int32_t row = 0; row < kRows; ++row) {
      for (std::int32_t place = 1; place < bucket; ++place) {
        found += expected_.at({bucket, place, row}) == expected_.at({bucket, 0, row}) ? 0 : 1;
      }
    }
    return found;
  }

 private:
  static std::vector<std::byte> answer(const Batch& batch, std::int32_t place) {
    std::vector<std::byte> bytes;
    for (const TensorView& output : batch.outputs) {
      const std::size_t row = output.data.size() / static_cast<std::size_t>(batch.rows);
      const auto from = output.data.begin() + static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(place));
      bytes.insert(bytes.end(), from, from + static_cast<std::ptrdiff_t>(row));
    }
    return bytes;
  }

  device::Device& device_;
  LoadedModel& model_;
  const InstanceId instance_;
  std::unique_ptr<TrialBatch> rows_;
  std::map<std::pair<std::int32_t, std::uint16_t>, std::vector<std::pair<Slice, const device::Plan*>>> homes_;
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::vector<std::byte>>
      expected_;  // bucket, place, row
};

// Holds the dispatcher role while it runs. Owned by one thread.
class RandomLoad {
 public:
  struct Seat {  // one lane, which takes a batch at a time
    Net* net = nullptr;
    std::uint16_t lane = 0;
    std::vector<std::int32_t> buckets;
  };
  struct Outcome {
    std::uint64_t launches = 0;
    std::uint64_t wrong = 0;
    std::uint64_t slice_changes = 0;
  };

  RandomLoad(device::Device& device, Completions& completions, std::vector<Seat> seats, std::uint32_t seed,
             std::uint64_t first_id = 1)
      : device_(device), completions_(completions), random_(seed), next_id_(first_id) {
    for (Seat& seat : seats) {
      seats_.emplace_back();
      seats_.back().seat = std::move(seat);
    }
  }

  // Goes on while `more` says so; then everything has ended.
  template <typename More>
  Outcome run(const More& more) {
    while (more(outcome_)) {
      std::vector<Taken*> free;
      for (Taken& taken : seats_) {
        if (taken.launch.id.value == 0) {
          free.push_back(&taken);
        }
      }
      std::shuffle(free.begin(), free.end(), random_);
      for (Taken* taken : free) {
        launch(*taken);
      }
      end_one();
    }
    while (running_ > 0) {
      end_one();
    }
    return outcome_;
  }

 private:
  struct Taken {
    Seat seat;
    device::Launch launch;
    Batch batch;
    std::int32_t bucket = 0;
    std::vector<std::int32_t> rows;
    Slice last;
  };

  void launch(Taken& taken) {
    const Seat& seat = taken.seat;
    taken.bucket = seat.buckets[random_() % seat.buckets.size()];
    taken.rows.clear();
    const auto count = 1 + static_cast<std::int32_t>(random_() % static_cast<std::uint32_t>(taken.bucket));
    while (static_cast<std::int32_t>(taken.rows.size()) < count) {
      taken.rows.push_back(static_cast<std::int32_t>(random_() % Net::kRows));
    }
    taken.batch = seat.net->batch_of(taken.rows, taken.bucket);
    const auto& homes = seat.net->homes(taken.bucket, seat.lane);
    const auto& [slice, plan] = homes[random_() % homes.size()];
    taken.launch = {};
    taken.launch.id = {next_id_++};
    taken.launch.instance = seat.net->instance();
    taken.launch.lane = {seat.lane};
    taken.launch.slice = slice;
    taken.launch.plan = plan;
    taken.launch.batch = &taken.batch;
    outcome_.slice_changes += slice == taken.last ? 0 : 1;
    taken.last = slice;
    const auto started = device_.launch(taken.launch);
    EXPECT_TRUE(started.ok()) << started.error().message();
    ++outcome_.launches;
    ++running_;
  }
  void end_one() {
    const device::Completion completion = completions_.wait_for_any();
    device_.retire(completion.id);
    EXPECT_TRUE(completion.status.ok()) << completion.status.error().message();
    const auto found = std::find_if(seats_.begin(), seats_.end(),
                                    [&](const Taken& taken) { return taken.launch.id == completion.id; });
    ASSERT_NE(found, seats_.end());
    --running_;
    if (!completion.status.ok() || !found->seat.net->right(found->batch, found->bucket, found->rows)) {
      ++outcome_.wrong;
    }
    found->launch.id = {};
  }

  device::Device& device_;
  Completions& completions_;
  std::mt19937 random_;
  std::uint64_t next_id_;
  std::vector<Taken> seats_;
  std::size_t running_ = 0;
  Outcome outcome_;
};

}  // namespace tessera::engine
