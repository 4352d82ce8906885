// Inputs that travel to the device ahead of their launch: what waits for what, and who keeps the memory meanwhile.
#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support.h"

namespace tessera::runtime::test {
namespace {

constexpr std::int64_t kLarge = 16 << 10;                                                // columns
constexpr std::size_t kInput = static_cast<std::size_t>(kLarge) * sizeof(std::int32_t);  // 64 KB

struct Copying {
  explicit Copying(std::uint16_t copies = 2) : s("temporal", {}, 2, 0, copies) {
    publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(1, kLarge)));
  }

  // Its two inputs lie so far apart that they are two copies.
  static std::shared_ptr<TestCall> call(std::int32_t seed) {
    struct Held {
      Numbers numbers;
      std::vector<std::byte> bytes;
    };
    auto call = add_sub_call("m", seed, 1, kLarge);
    auto held = std::make_shared<Held>();
    held->numbers = *static_cast<const Numbers*>(call->request.memory.get());
    held->bytes.resize(4 * kInput);
    std::size_t at = kInput / 2;
    for (InputTensor& input : call->request.inputs) {
      const auto to = std::span(held->bytes).subspan(at, kInput);
      std::copy(input.tensor.data.begin(), input.tensor.data.end(), to.begin());
      input.tensor.data = to;
      at += 2 * kInput;
    }
    call->request.memory = std::shared_ptr<const Numbers>(held, &held->numbers);
    return call;
  }

  ManualServing s;
  ManualDevice& device = *s.device;
};

// Whoever holds the role may be about to let go of the call.
bool let_go(const std::weak_ptr<const void>& memory) {
  for (int i = 0; i < 10'000 && !memory.expired(); ++i) {
    std::this_thread::sleep_for(microseconds(100));
  }
  return memory.expired();
}

const std::byte* input_of(const TestCall& call, std::size_t number) {
  return call.request.inputs[number].tensor.data.data();
}

TEST(Copies, ALaunchIsQueuedBehindItsCopiesAsSoonAsTheLastWasBegun) {
  Copying c;
  const auto call = c.call(3);
  auto pending = send(*c.s.serving, call);
  const auto copies = c.device.copies();
  ASSERT_EQ(copies.size(), 2U);
  EXPECT_LT(copies[0].id, copies[1].id);
  for (const auto& copy : copies) {
    EXPECT_EQ(copy.bytes.size(), kInput);
    EXPECT_TRUE(copy.bytes.data() == input_of(*call, 0) || copy.bytes.data() == input_of(*call, 1));
  }
  ASSERT_EQ(c.device.waiting(), 1U);
  const device::Launch launch = c.device.oldest();
  EXPECT_EQ(launch.after_copy, copies[1].id);
  for (const BatchInput& input : launch.batch->inputs) {
    EXPECT_EQ(input.copied, std::vector<bool>{true});
  }
  EXPECT_TRUE(c.device.end_copy());
  EXPECT_TRUE(c.device.end_copy());
  EXPECT_TRUE(c.device.run_oldest());
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
  EXPECT_FALSE(c.device.end_copy());
}

TEST(Copies, NothingIsLaunchedBeforeAllItsCopiesWereBegun) {
  Copying c(1);
  const auto call = c.call(3);
  auto pending = send(*c.s.serving, call);
  EXPECT_EQ(c.device.copies().size(), 1U);
  EXPECT_EQ(c.device.waiting(), 0U);
  EXPECT_TRUE(c.device.end_copy());
  EXPECT_EQ(c.device.copies().size(), 1U);
  EXPECT_EQ(c.device.waiting(), 1U);
  c.device.end_copy();
  c.device.run_oldest();
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
}

// Its second input's memory is not the device's.
std::shared_ptr<TestCall> with_one_to_copy(Copying& c, std::int32_t seed) {
  auto call = c.call(seed);
  c.device.never_copies = input_of(*call, 1);
  return call;
}

TEST(Copies, WhatIsLaunchedAtOnceIsReadWhereItLies) {
  Copying c;
  const auto first = with_one_to_copy(c, 1);
  auto first_answer = send(*c.s.serving, first);
  EXPECT_TRUE(c.device.copies().empty());
  ASSERT_EQ(c.device.waiting(), 1U);
  EXPECT_EQ(c.device.oldest().after_copy, CopyId{});
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{false});

  // The device is busy now, so that there is time for a copy.
  const auto second = with_one_to_copy(c, 2);
  auto second_answer = send(*c.s.serving, second);
  ASSERT_EQ(c.device.copies().size(), 1U);
  EXPECT_EQ(c.device.copies()[0].bytes.data(), input_of(*second, 0));
  EXPECT_TRUE(c.device.run_oldest());
  ASSERT_EQ(c.device.waiting(), 1U);
  EXPECT_NE(c.device.oldest().after_copy, CopyId{});
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{true});
  EXPECT_TRUE(c.device.end_copy());
  EXPECT_TRUE(c.device.run_oldest());
  EXPECT_TRUE(add_sub_is_right(*first, first_answer.get()));
  EXPECT_TRUE(add_sub_is_right(*second, second_answer.get()));
}

TEST(Copies, AReadyRequestWhoseCopyIsRefusedIsReadWhereItLies) {
  Copying c;
  const auto first = with_one_to_copy(c, 1);
  auto first_answer = send(*c.s.serving, first);
  c.device.refuse_next_copy = true;
  const auto second = with_one_to_copy(c, 2);
  auto second_answer = send(*c.s.serving, second);
  EXPECT_TRUE(c.device.copies().empty());
  EXPECT_TRUE(c.device.run_oldest());
  ASSERT_EQ(c.device.waiting(), 1U);
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{false});
  EXPECT_TRUE(c.device.run_oldest());
  EXPECT_TRUE(add_sub_is_right(*first, first_answer.get()));
  EXPECT_TRUE(add_sub_is_right(*second, second_answer.get()));
}

TEST(Copies, WhatIsLargeIsCopiedEvenForAnIdleDevice) {
  constexpr std::int64_t kColumns = 512 << 10;  // 2 MB
  ManualServing s("temporal", {}, 2, 0, 2);
  publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(1, kColumns)));
  const auto call = add_sub_call("m", 1, 1, kColumns);
  s.device->never_copies = input_of(*call, 1);
  auto answer = send(*s.serving, call);
  EXPECT_EQ(s.device->copies().size(), 1U);
  ASSERT_EQ(s.device->waiting(), 1U);
  EXPECT_NE(s.device->oldest().after_copy, CopyId{});
  EXPECT_EQ(s.device->oldest().batch->inputs[0].copied, std::vector<bool>{true});
  EXPECT_TRUE(s.device->end_copy());
  EXPECT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(answer.get().ok());
}

TEST(Copies, WhileOthersAreCopiedNothingGoesBeforeItsOwnCopyBegan) {
  Copying c;
  const auto first = c.call(1);  // two copies are under way
  auto first_answer = send(*c.s.serving, first);
  EXPECT_EQ(c.device.copies().size(), 2U);
  const auto second = with_one_to_copy(c, 2);  // so its own has to wait, and it with it
  auto second_answer = send(*c.s.serving, second);
  EXPECT_TRUE(c.device.run_oldest());
  EXPECT_EQ(c.device.waiting(), 0U);
  EXPECT_TRUE(c.device.end_copy());
  ASSERT_EQ(c.device.waiting(), 1U);
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{true});
  while (c.device.end_copy()) {
  }
  EXPECT_TRUE(c.device.run_oldest());
  EXPECT_TRUE(add_sub_is_right(*first, first_answer.get()));
  EXPECT_TRUE(add_sub_is_right(*second, second_answer.get()));
}

TEST(Copies, SmallInputsAndForeignMemoryAreLeftToTheLaunch) {
  Copying c;
  publish(*c.s.serving, make_instance({2}, "small", add_sub_plan(), add_sub_signature(1, 8 << 10)));
  auto small = send(*c.s.serving, add_sub_call("small", 1, 1, 8 << 10));
  EXPECT_TRUE(c.device.copies().empty());
  EXPECT_EQ(c.device.oldest().after_copy, CopyId{});
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{false});
  c.device.run_oldest();
  EXPECT_TRUE(small.get().ok());

  c.device.copies_anything = false;
  auto foreign = send(*c.s.serving, c.call(2));
  EXPECT_TRUE(c.device.copies().empty());
  c.device.run_oldest();
  EXPECT_TRUE(foreign.get().ok());

  c.device.copies_anything = true;
  const auto call = c.call(3);
  const auto kept = std::exchange(call->request.memory, nullptr);  // nothing that a copy could hold on to
  auto unheld = send(*c.s.serving, call);
  EXPECT_TRUE(c.device.copies().empty());
  c.device.run_oldest();
  EXPECT_TRUE(unheld.get().ok());
}

TEST(Copies, TheEarliestDeadlineIsCopiedFirst) {
  Copying c;
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  // Of what lies beyond 100 ms a thousandth counts: 200 ms lie between two of them.
  for (const int seconds : {0, 600, 200, 400}) {
    calls.push_back(c.call(static_cast<std::int32_t>(calls.size()) + 1));
    if (seconds > 0) {
      calls.back()->request.timeout = std::chrono::seconds(seconds);
    }
  }
  for (const auto& call : calls) {
    pending.push_back(send(*c.s.serving, call));
  }
  c.device.end_copy();
  c.device.end_copy();
  for (const std::size_t next : {2U, 3U, 1U}) {
    for (const auto& copy : c.device.copies()) {
      EXPECT_TRUE(copy.bytes.data() == input_of(*calls[next], 0) || copy.bytes.data() == input_of(*calls[next], 1));
    }
    EXPECT_TRUE(c.device.end_copy());
    EXPECT_TRUE(c.device.end_copy());
  }
  while (c.device.run_oldest()) {
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_TRUE(add_sub_is_right(*calls[i], pending[i].get())) << i;
  }
}

TEST(Copies, ACancelledRequestsMemoryOutlivesItsCopies) {
  Copying c(1);
  auto call = c.call(1);
  auto pending = send(*c.s.serving, call);
  c.s.serving->cancel(*call);
  EXPECT_EQ(pending.get().error().code(), ErrorCode::kCancelled);
  const std::weak_ptr<const void> memory = call->request.memory;
  call.reset();
  EXPECT_FALSE(memory.expired()) << "a copy still reads it";
  EXPECT_TRUE(c.device.end_copy());
  EXPECT_TRUE(let_go(memory));
  EXPECT_TRUE(c.device.copies().empty()) << "the rest of a cancelled request was copied";
  EXPECT_EQ(c.device.waiting(), 0U);
}

TEST(Copies, ARequestThatRunsOutOfTimeEndsAtOnceAndItsMemoryWithTheCopy) {
  Copying c(1);
  auto call = c.call(1);
  call->request.timeout = milliseconds(1);
  EXPECT_EQ(send(*c.s.serving, call).get().error().code(), ErrorCode::kDeadlineExceeded);
  const std::weak_ptr<const void> memory = call->request.memory;
  call.reset();
  EXPECT_FALSE(memory.expired());
  c.device.end_copy();
  EXPECT_TRUE(let_go(memory));
  EXPECT_TRUE(c.device.copies().empty());
}

TEST(Copies, ALostDeviceGivesBackAllMemoryAndAnswersEverybody) {
  Copying c(1);
  std::vector<std::weak_ptr<const void>> memory;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (int i = 1; i <= 3; ++i) {
    auto call = c.call(i);
    memory.push_back(call->request.memory);
    pending.push_back(send(*c.s.serving, call));
  }
  c.device.go_down(Error(ErrorCode::kDeviceLost, "pulled out"));
  for (std::size_t i = 0; i < pending.size(); ++i) {
    EXPECT_EQ(pending[i].get().error().code(), ErrorCode::kDeviceLost);
    EXPECT_TRUE(let_go(memory[i])) << i;
  }
}

TEST(Copies, WhatTheDeviceDoesNotCopyTheLaunchDoes) {
  Copying c(1);
  c.device.refuse_next_copy = true;
  const auto call = c.call(1);
  auto pending = send(*c.s.serving, call);
  EXPECT_TRUE(c.device.copies().empty());
  ASSERT_EQ(c.device.waiting(), 1U);
  EXPECT_EQ(c.device.oldest().batch->inputs[0].copied, std::vector<bool>{false});
  c.device.run_oldest();
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
  const auto next = c.call(2);
  auto next_pending = send(*c.s.serving, next);
  EXPECT_EQ(c.device.copies().size(), 1U);
  c.device.end_copy();
  c.device.end_copy();
  c.device.run_oldest();
  EXPECT_TRUE(add_sub_is_right(*next, next_pending.get()));
}

TEST(Copies, TheServerStopsWhileCopiesAreOutstanding) {
  std::vector<std::future<Result<InferResponse>>> pending;
  std::vector<std::weak_ptr<const void>> memory;
  {
    Copying c(1);
    for (int i = 1; i <= 3; ++i) {
      auto call = c.call(i);
      memory.push_back(call->request.memory);
      pending.push_back(send(*c.s.serving, call));
    }
    EXPECT_EQ(c.device.copies().size(), 1U);
  }
  for (std::size_t i = 0; i < pending.size(); ++i) {
    EXPECT_FALSE(pending[i].get().ok());
    EXPECT_TRUE(let_go(memory[i])) << i;
  }
}

}  // namespace
}  // namespace tessera::runtime::test
