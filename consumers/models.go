package consumers

import (
	"fmt"
	"os"

	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/churn/hardness"
)

// ModelsConfig names the model files in force.
type ModelsConfig struct {
	Hardness   string `yaml:"hardness" env:"HARDNESS" doc:"hardness model file; empty: the built-in one"`
	Classifier string `yaml:"classifier" env:"CLASSIFIER" doc:"classifier model file; empty: the built-in one"`
}

// Enrichment loads the models in force.
func (m ModelsConfig) Enrichment() (Enrichment, error) {
	model, classifier := hardness.Default(), attempts.Default()
	if m.Hardness != "" {
		text, err := os.ReadFile(m.Hardness)
		if err != nil {
			return Enrichment{}, fmt.Errorf("reading models.hardness: %w", err)
		}
		if model, err = hardness.Load(text); err != nil {
			return Enrichment{}, fmt.Errorf("reading models.hardness %s: %w", m.Hardness, err)
		}
	}
	if m.Classifier != "" {
		text, err := os.ReadFile(m.Classifier)
		if err != nil {
			return Enrichment{}, fmt.Errorf("reading models.classifier: %w", err)
		}
		if classifier, err = attempts.Load(text); err != nil {
			return Enrichment{}, fmt.Errorf("reading models.classifier %s: %w", m.Classifier, err)
		}
	}
	return Enrichment{Score: model.Score, Classify: classifier.Classify}, nil
}
