#include "measure/tenant.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "core/tensor.h"

namespace tessera::measure {
namespace {

constexpr std::size_t kAlignment = 64;

template <typename T, typename Make>
void fill_as(std::span<std::byte> data, const Make& make) {
  for (std::size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
    const T value = make();
    std::memcpy(data.data() + at, &value, sizeof(T));
  }
}

// Floats between -1 and 1; integers 0 or 1, which are words to every language model.
void fill(DType dtype, std::span<std::byte> data, std::mt19937& random) {
  std::uniform_real_distribution<float> around_zero(-1, 1);
  switch (dtype) {
    case DType::kFp16:  // a sign, an exponent of 0.5 to 1, any mantissa
      return fill_as<std::uint16_t>(data, [&] { return static_cast<std::uint16_t>((random() & 0x83FFU) | 0x3800U); });
    case DType::kFp32:
      return fill_as<float>(data, [&] { return around_zero(random); });
    case DType::kInt32:
      return fill_as<std::int32_t>(data, [&] { return static_cast<std::int32_t>(random() & 1U); });
    case DType::kInt64:
      return fill_as<std::int64_t>(data, [&] { return static_cast<std::int64_t>(random() & 1U); });
    default:
      return fill_as<std::uint8_t>(data, [&] { return static_cast<std::uint8_t>(random() & 1U); });
  }
}

}  // namespace

// One of the requests on their way, sent again and again. Its samples are written by whoever answers, one at a time.
class Tenant::Call final : public runtime::InferCall, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(Tenant& owner) : owner_(owner) {}

  void send() {
    request.arrival = now();
    owner_.service_.infer(shared_from_this());
  }
  void done(Result<InferResponse> result) noexcept override {
    if (!result.ok()) {
      std::fprintf(stderr, "%s: %s\n", owner_.name_.c_str(), result.error().message().c_str());
      std::_Exit(EXIT_FAILURE);
    }
    const TimePoint at = now();
    answers.push_back({at, at - request.arrival});
    if (owner_.stopping_.load()) {
      owner_.on_their_way_.fetch_sub(1);
    } else {
      send();
    }
  }

  std::vector<Answer> answers;

 private:
  Tenant& owner_;
};

Result<std::unique_ptr<Tenant>> Tenant::make(runtime::Service& service, const model::Instance& instance,
                                             std::int64_t rows, int outstanding) {
  std::unique_ptr<Tenant> tenant(new Tenant(service, instance.name));
  std::mt19937 random(1);
  for (int i = 0; i < outstanding; ++i) {
    auto call = std::make_shared<Call>(*tenant);
    call->answers.reserve(1 << 20);
    call->request.model = instance.name;
    std::size_t size = 0;
    std::vector<std::size_t> sizes;
    for (const TensorSpec& spec : instance.signature.inputs) {
      TESSERA_ASSIGN_OR_RETURN(const std::size_t bytes, byte_size(spec.dtype, spec.shape.with_first(rows)));
      sizes.push_back(bytes);
      size += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    TESSERA_ASSIGN_OR_RETURN(const auto memory, service.lease_body(instance.name, Bytes{size}));
    TESSERA_RETURN_IF_ERROR(memory->charge(Bytes{size}));
    std::span<std::byte> left = memory->bytes();
    for (std::size_t input = 0; input < sizes.size(); ++input) {
      const TensorSpec& spec = instance.signature.inputs[input];
      fill(spec.dtype, left.first(sizes[input]), random);
      call->request.inputs.push_back({spec.name, {spec.dtype, spec.shape.with_first(rows), left.first(sizes[input])}});
      left = left.subspan((sizes[input] + kAlignment - 1) / kAlignment * kAlignment);
    }
    call->request.memory = memory;
    tenant->calls_.push_back(std::move(call));
  }
  return tenant;
}

void Tenant::start() {
  stopping_.store(false);
  on_their_way_.store(static_cast<int>(calls_.size()));
  for (const auto& call : calls_) {
    starters_.emplace_back([call] { call->send(); });
  }
}

void Tenant::stop() {
  stopping_.store(true);
  while (on_their_way_.load() > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& starter : starters_) {
    starter.join();
  }
  starters_.clear();
}

std::vector<Answer> Tenant::answers(TimePoint from, TimePoint until) const {
  std::vector<Answer> found;
  for (const auto& call : calls_) {
    for (const Answer& answer : call->answers) {
      if (answer.at >= from && answer.at < until) {
        found.push_back(answer);
      }
    }
  }
  return found;
}

}  // namespace tessera::measure
