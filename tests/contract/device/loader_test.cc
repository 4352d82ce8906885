// The loader's side of any device, and the memory it offers for requests.
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

using std::chrono::microseconds;

bool within(const std::set<std::uint16_t>& atoms, const Slice& slice) {
  for (const std::uint16_t atom : atoms) {
    if (!slice.contains(atom)) {
      return false;
    }
  }
  return !atoms.empty();
}

TEST_P(DeviceContract, TheLoaderThreadStaysInTheLoaderSlice) {
  std::thread([&] {
    ASSERT_TRUE(device().become_loader_thread().ok());
    EXPECT_TRUE(within(under_test().atoms_of_this_thread(), device().shape().loader));
    Job& job = make_job(probe(), whole(), {});
    ASSERT_TRUE(device().run_borrowed(job.probe->plan(), whole(), job.batch).ok());
    EXPECT_TRUE(within(under_test().atoms_of_this_thread(), device().shape().loader));
  }).join();
}

TEST_P(DeviceContract, ABorrowedRunKeepsToItsSliceAndIsTimed) {
  std::thread([&] {
    ASSERT_TRUE(device().become_loader_thread().ok());
    auto slices = device().shape().ladder;
    slices.push_back(device().shape().loader);
    for (const Slice& slice : slices) {
      Job& job = make_job(probe({.busy = microseconds(500)}), slice, {});
      const auto took = device().run_borrowed(job.probe->plan(), slice, job.batch);
      ASSERT_TRUE(took.ok());
      EXPECT_GE(*took, microseconds(500));
      ASSERT_EQ(job.probe->runs().size(), 1U);
      EXPECT_TRUE(within(job.probe->runs()[0].atoms, slice));
      ASSERT_EQ(job.batch.outputs.size(), 1U);
      EXPECT_EQ(job.batch.outputs[0].data[0], answer_to(job.input[0][0]));
    }
  }).join();
  settle();
  EXPECT_TRUE(completions_.empty()) << "borrowed runs are reported to their caller alone";
}

TEST_P(DeviceContract, BorrowedRunsGoOnBesideLaunches) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  start(probe({.gate = &hold}), atom(0));
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "it runs"));
  std::thread([&] {
    ASSERT_TRUE(device().become_loader_thread().ok());
    Job& job = make_job(probe(), device().shape().loader, {});
    EXPECT_TRUE(device().run_borrowed(job.probe->plan(), device().shape().loader, job.batch).ok());
  }).join();
  hold.open();
  ASSERT_TRUE(wait_for_all());
}

TEST_P(DeviceContract, ABorrowedRunThatFailsHarmsNobody) {
  Job& failing = make_job(probe({.outcome = Outcome::kFail}), device().shape().loader, {});
  const auto failed = device().run_borrowed(failing.probe->plan(), failing.slice, failing.batch);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kInternal);
  const Slice nowhere{atoms(), 1};
  EXPECT_FALSE(device().run_borrowed(failing.probe->plan(), nowhere, failing.batch).ok());
  Job& afterwards = start(probe(), whole());
  ASSERT_TRUE(wait_for(afterwards));
  expect_answered(afterwards);
}

TEST_P(DeviceContract, AFaultInABorrowedRunTakesTheDeviceDown) {
  Job& broken = make_job(probe({.outcome = Outcome::kFault}), device().shape().loader, {});
  const auto failed = device().run_borrowed(broken.probe->plan(), broken.slice, broken.batch);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kDeviceLost);
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));
  Job& late = make_job(probe(), atom(0), {});
  EXPECT_FALSE(try_start(late, {}).ok());
  const auto again = device().run_borrowed(late.probe->plan(), late.slice, late.batch);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), ErrorCode::kDeviceLost);
  settle();
  EXPECT_EQ(downs_.size(), 1U);
}

TEST_P(DeviceContract, AFaultInABorrowedRunEndsWhatIsInFlight) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  start(probe({.gate = &hold}), atom(0));
  start(probe(), whole());
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "it runs"));
  Batch batch = jobs_.front().batch;
  EXPECT_FALSE(device().run_borrowed(probe({.outcome = Outcome::kFault}).plan(), device().shape().loader, batch).ok());
  hold.open();
  ASSERT_TRUE(wait_for_all());
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));
  for (const Job& job : jobs_) {
    EXPECT_TRUE(has_code(job, ErrorCode::kDeviceLost));
  }
}

TEST_P(DeviceContract, RequestMemoryIsAlignedDisjointAndLimited) {
  StagingPool& pool = device().staging();
  std::vector<std::unique_ptr<StagingBlock>> blocks;
  std::uint8_t value = 0;
  for (const std::uint64_t size : {0, 1, 63, 64, 300, 4096, 5000, 65536, 65537, 602112, 1 << 20}) {
    for (int copy = 0; copy < 2; ++copy) {
      auto block = pool.lease(Bytes{size});
      ASSERT_TRUE(block.ok()) << block.error().message();
      const auto bytes = (*block)->bytes();
      ASSERT_EQ(bytes.size(), size);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0U);
      std::memset(bytes.data(), ++value, bytes.size());
      blocks.push_back(*std::move(block));
    }
  }
  value = 0;
  for (const auto& block : blocks) {
    ++value;
    for (const std::byte byte : block->bytes()) {
      ASSERT_EQ(std::to_integer<std::uint8_t>(byte), value);
    }
  }
  const auto refused = pool.lease(Bytes{1ULL << 60});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace tessera::device::contract
