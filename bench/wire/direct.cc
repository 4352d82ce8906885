#include "direct.h"

#include <array>
#include <cstdint>
#include <vector>

#include <onnxruntime_cxx_api.h>

namespace tessera::bench {
namespace {

class DirectCall : public WireClient {
 public:
  explicit DirectCall(const std::filesystem::path& model) : session_(environment_, model.c_str(), options()) {
    const std::array<std::int64_t, 2> shape{1, 16};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    for (auto& data : data_) {
      inputs_.push_back(Ort::Value::CreateTensor<std::int32_t>(memory, data.data(), data.size(), shape.data(), 2));
    }
  }

  void call() override {
    static constexpr const char* kInputs[] = {"INPUT0", "INPUT1"};
    static constexpr const char* kOutputs[] = {"OUTPUT0", "OUTPUT1"};
    const auto outputs = session_.Run(run_, kInputs, inputs_.data(), inputs_.size(), kOutputs, 2);
  }

 private:
  static Ort::SessionOptions options() {
    Ort::SessionOptions made;
    made.SetIntraOpNumThreads(1);
    return made;
  }

  Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR, "bench"};
  Ort::Session session_;
  Ort::RunOptions run_;
  std::array<std::array<std::int32_t, 16>, 2> data_{};
  std::vector<Ort::Value> inputs_;
};

}  // namespace

std::unique_ptr<WireClient> direct_engine_call(const std::filesystem::path& model) {
  return std::make_unique<DirectCall>(model);
}

}  // namespace tessera::bench
